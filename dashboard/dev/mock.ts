// A server of made-up answers, to work on pages whose endpoints are not there yet, and to test all
// of them with hostile data. It is no part of what is shipped.
//   npm run mock                 PORT=18090 PREFIX=/some/path/ MOCK_SETUP=1 MOCK_PLAIN=1

import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join } from "node:path";
import type * as T from "../src/api/types";
import * as access from "./access";
import * as data from "./data";

const PREFIX = process.env["PREFIX"] ?? "/";
const DIST = process.env["DIST"] ?? join(process.cwd(), "../crates/dashboard/dist");
let setup = process.env["MOCK_SETUP"] === "1";

const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
/** As the server has it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://127.0.0.1:* wss://127.0.0.1:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

type Query = URLSearchParams;
type Answer = unknown;
type Handler = (found: string[], query: Query, body: Record<string, unknown>) => Answer;

class Refused {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly message: string,
  ) {}
}
class Status {
  constructor(
    readonly status: number,
    readonly body: unknown = undefined,
  ) {}
}

const rows = <T>(all: T[], query: Query, usual = 100) => {
  const page = Number(query.get("page") ?? 1);
  const limit = Number(query.get("limit") ?? usual);
  return { data: all.slice((page - 1) * limit, page * limit), meta: { page, limit, count: all.length, hasnext: page * limit < all.length } };
};

const like = (value: unknown, wanted: string | null): boolean => !wanted || String(value ?? "").includes(wanted);

function clientRows(query: Query) {
  const state = query.get("conn_state");
  const found = data.clients.filter((one) => like(one.clientid, query.get("like_clientid")) && like(one.username, query.get("like_username")) && like(one.ip_address, query.get("ip_address")) && like(one.listener, query.get("listener")) && (!state || one.connected === (state === "connected")));
  const from = Number(query.get("cursor") ?? 0);
  const to = from + Number(query.get("limit") ?? 100);
  return { data: found.slice(from, to), meta: { limit: to - from, hasnext: to < found.length, ...(to < found.length ? { cursor: String(to) } : {}) } };
}

function client(id: string): T.Client {
  const row = data.clients.find((one) => one.clientid === id);
  if (!row) throw new Refused(404, "NOT_FOUND", `there is no client ${JSON.stringify(id)}`);
  const topics = data.subscriptions.filter((one) => one.clientid === id);
  return {
    ...row,
    subscriptions: topics.map((one) => ({ topic: one.topic, qos: one.qos, nl: !!one.nl, rap: !!one.rap, rh: one.rh ?? 0, partly: one.qos === 2 })),
    subscriptions_count: topics.length,
    worker: 2,
    receive_maximum: 32,
    topic_alias_maximum: 16,
    maximum_packet_size: 1_048_576,
    will: { topic: `plant/${id}/state`, qos: 1, retain: true, delay: 30 },
    properties: { user_properties: [["firmware", data.HOSTILE[0]]], request_problem_information: true },
    send_pending_bytes: 0,
    rtt_ms: 11.4,
  };
}

const messages = (id: string, query: Query) => {
  const from = Number(query.get("after") ?? 0);
  const all = data.retained.slice(0, 90).map((one, n) => ({ ...one, packet_id: n + 1, state: ["sent", "received", null][n % 3], from_clientid: id }));
  return { data: all.slice(from, from + 50), meta: { last: String(from + 50), count: all.length } };
};

const EVENTS = ["connected", "authenticated", "subscribed", "denied", "dropped", "quota", "takeover", "disconnected", "refused", "ban"];
const timeline = () => Array.from({ length: 40 }, (_, n) => ({ at: data.at(n * 47), event: EVENTS[n % EVENTS.length], reason: n % 5 === 3 ? data.HOSTILE[0] : n % 2 ? "keep alive timed out" : null, detail: n % 3 ? null : { topic: data.HOSTILE[n % 8], count: n }, peer: n % 4 ? null : "10.20.3.4:51234" }));

let traces = [{ name: "press-17", type: "clientid", value: data.HOSTILE[0], status: "running", start_at: data.at(70), end_at: data.at(-500), payload_encode: "hidden", size: 48_122 }];
const tail = (position: number) => {
  const lines = Array.from({ length: position ? 2 : 40 }, (_, n) => `${new Date().toISOString()} client="${n % 9 === 4 ? data.HOSTILE[2] : "berlin-press-000"}" PUBLISH topic=plant/berlin/press/${n} qos=1 size=112 matched=3 queued=0 ${n % 9 === 4 ? data.HOSTILE[0] : ""}`);
  const items = `${lines.join("\n")}\n`;
  return { items, meta: { position: position + items.length, bytes: items.length } };
};

let level = "info";

const ROUTES: [method: string, pattern: RegExp, answer: Handler][] = [
  ["GET", /^me$/, () => ({ username: "admin", role: process.env["MOCK_ROLE"] ?? "admin", via: "token" })],
  ["POST", /^logout$/, () => undefined],
  ["GET", /^overview$/, () => data.overview()],
  ["GET", /^status$/, () => ({ alarms: [], connections: 1, sessions: 1, started_at: data.at(10), state: "running", uptime: 10, version: "0.1.0", workers: 2 })],
  ["GET", /^monitor$/, (_, query) => data.monitor(Number(query.get("latest")))],
  ["GET", /^alarms$/, (_, query) => rows(query.get("activated") === "false" ? data.pastAlarms : data.alarms, query)],
  ["GET", /^clients$/, (_, query) => clientRows(query)],
  ["GET", /^clients\/([^/]+)$/, ([id]) => client(id ?? "")],
  ["GET", /^clients\/[^/]+\/timeline$/, () => timeline()],
  ["GET", /^clients\/([^/]+)\/(?:mqueue|inflight)_messages$/, ([id], query) => messages(id ?? "", query)],
  ["GET", /^subscriptions$/, (_, query) => rows(data.subscriptions.filter((one) => like(one.clientid, query.get("clientid")) && like(one.topic, query.get("topic"))), query)],
  ["GET", /^shared_groups$/, (_, query) => rows(data.groups, query)],
  ["POST", /^subscriptions\/match$/, () => ({ receivers: data.subscriptions.slice(0, 12).map((one, n) => ({ clientid: one.clientid, filter: one.topic, qos: one.qos, group: n % 4 ? null : "workers", online: n % 3 > 0 })), count: 12, truncated: false })],
  ["GET", /^topics$/, (_, query) => {
    const all = data.topics(query.get("under") ?? "");
    const from = Number(query.get("after") ?? 0);
    const to = from + Number(query.get("limit") ?? 100);
    return { data: all.slice(from, to), meta: { ...(to < all.length ? { after: String(to) } : {}), sampled: true } };
  }],
  ["GET", /^topics\/last$/, (_, query) => data.lastValue(query.get("topic") ?? "")],
  ["GET", /^mqtt\/retainer\/messages$/, (_, query) => rows(data.retained.map(({ payload: _payload, ...one }) => one), query)],
  ["GET", /^mqtt\/retainer\/message\/(.+)$/, ([topic]) => data.retained.find((one) => one.topic === topic) ?? new Refused(404, "NOT_FOUND", "no message is retained there")],
  ["POST", /^mqtt\/retainer\/delete$/, () => ({ deleted: 12 })],
  ["POST", /^publish$/, (_, __, body) => new Status(String(body["topic"]).startsWith("nobody") ? 202 : 200, { id: "1" })],
  ["GET", /^drops$/, () => data.drops],
  ["GET", /^slow_subscriptions$/, (_, query) => rows(data.slow, query)],
  ["GET", /^trace$/, () => traces],
  ["POST", /^trace$/, (_, __, body) => {
    traces = [{ ...traces[0], ...body, status: "running", start_at: data.at(0), size: 0 } as (typeof traces)[number], ...traces];
    return new Status(201, traces[0]);
  }],
  ["DELETE", /^trace\/(.+)$/, ([name]) => {
    traces = traces.filter((one) => one.name !== name);
  }],
  ["GET", /^trace\/[^/]+\/log$/, (_, query) => tail(Number(query.get("position")))],
  ["GET", /^trace\/[^/]+\/download$/, () => tail(0).items],
  ["GET", /^log\/level$/, () => ({ level })],
  ["PUT", /^log\/level$/, (_, __, body) => {
    level = String(body["level"]);
    return { level };
  }],
  ["GET", /^certificates$/, () => new Refused(404, "NOT_FOUND", "there is nothing at this path")],
  ["GET", /^bridges$/, () => ({ data: access.bridges })],
  ["PUT", /^bridges\/([^/]+)\/(restart|enable|disable)$/, ([name, order]) => {
    const found = access.bridges.find((one) => one.name === name);
    if (!found) return new Refused(404, "NOT_FOUND", "there is no such bridge");
    found.enabled = order !== "disable";
    found.state = found.enabled ? "connected" : "off";
    return undefined;
  }],
  ["GET", /^listeners$/, () => ({ data: access.listeners })],
  ["GET", /^configs$/, () => data.configs],
  ["POST", /^configs\/check$/, (_, __, body) => (String(body["toml"]).includes("wrong") ? { ok: false, problems: [{ line: 3, column: 1, key: "server.wrong", message: `there is no key ${data.HOSTILE[0]}`, hint: "Did you mean workers?" }], changes: [] } : { ok: true, problems: [], changes: [{ key: "server.workers", from: "4", to: "8", needs_restart: true }] })],
  ["GET", /^configs\/versions$/, () => [{ version: 2, at: data.at(9000), by: "admin", note: "log.level" }, { version: 1, at: data.at(90_000), by: "admin", note: null }]],
  ["GET", /^authentication$/, () => access.chain],
  ["GET", /^authentication\/database\/users$/, (_, query) => rows(access.users, query)],
  ["POST", /^authentication\/database\/users\/import/, () => ({ created: 3, kept: 1, replaced: 0 })],
  ["GET", /^authorization\/groups$/, (_, query) => rows(access.mqttGroups, query)],
  ["GET", /^authorization\/roles$/, (_, query) => rows(access.roles, query)],
  ["GET", /^authorization\/denials$/, (_, query) => rows(access.denials, query)],
  ["POST", /^authorization\/explain$/, () => access.explained],
  ["GET", /^banned$/, (_, query) => rows(access.bans, query)],
  ["GET", /^audit$/, (_, query) => rows(access.audit, query)],
  ["GET", /^admins$/, () => access.administrators],
  ["GET", /^api_key$/, () => access.keys],
  ["POST", /^api_key$/, (_, __, body) => new Status(201, { ...access.keys[0], ...body, api_secret: "c2VjcmV0LXNob3duLW9uY2U" })],
];

const LOGIN = { token: "mock", username: "admin", role: process.env["MOCK_ROLE"] ?? "admin", expires_at: data.at(-3600) };

function open(path: string, body: Record<string, unknown>): Answer {
  if (path === "setup" && !Object.keys(body).length) return { needed: setup };
  if (path === "setup") {
    if (body["code"] !== "CODE") throw new Refused(403, "FORBIDDEN", "this is not the code that the server printed");
    setup = false;
    return new Status(201, LOGIN);
  }
  if (body["password"] !== "correct horse") throw new Refused(401, "UNAUTHORIZED", "name or password is wrong");
  return LOGIN;
}

function api(method: string, path: string, query: Query, body: Record<string, unknown>, token: string | undefined): Answer {
  if (path === "setup" || path === "login") return open(path, body);
  if (token !== "Bearer mock") throw new Refused(401, "UNAUTHORIZED", "say who you are");
  for (const [wanted, pattern, answer] of ROUTES) {
    const found = pattern.exec(path);
    if (wanted === method && found) return answer(found.slice(1).map(decodeURIComponent), query, body);
  }
  // Changes of what is only made up.
  if (method !== "GET") return new Status(204);
  throw new Refused(404, "NOT_FOUND", "there is nothing at this path");
}

function events(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const back = process.env["MOCK_HISTORY"] ? Number(process.env["MOCK_HISTORY"]) : 0;
  for (let n = back; n > 0; n -= 1) response.write(`event: overview\ndata: ${JSON.stringify(data.overview(Date.now() / 1000 - n))}\n\n`);
  const timer = setInterval(() => response.write(`event: overview\ndata: ${JSON.stringify(data.overview())}\n\n`), 1000);
  response.write(`event: overview\ndata: ${JSON.stringify(data.overview())}\n\n`);
  response.on("close", () => clearInterval(timer));
}

async function read(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const piece of request) text += String(piece);
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

async function file(path: string, response: ServerResponse): Promise<void> {
  const name = path === "" ? "index.html" : path;
  try {
    const content = await readFile(join(DIST, name));
    response.writeHead(200, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream", "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff" });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
}

const server = createServer((request, response) => {
  void (async () => {
    const address = new URL(request.url ?? "/", "http://mock");
    if (!address.pathname.startsWith(PREFIX)) return response.writeHead(404).end();
    const path = address.pathname.slice(PREFIX.length);
    if (!path.startsWith("api/v5/")) return file(path, response);
    const json = (status: number, body: unknown) => response.writeHead(status, { "Content-Type": "application/json" }).end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
    try {
      const body = await read(request);
      if (path === "api/v5/events") return events(response);
      const answer = api(request.method ?? "GET", path.slice(7), address.searchParams, body, request.headers.authorization);
      if (answer instanceof Refused) throw answer;
      if (answer instanceof Status) json(answer.status, answer.body);
      else json(answer === undefined ? 204 : 200, answer);
    } catch (error) {
      if (error instanceof Refused) json(error.status, { code: error.code, message: error.message });
      else json(500, { code: "INTERNAL_ERROR", message: String(error) });
    }
    return undefined;
  })();
});
server.listen(Number(process.env["PORT"] ?? 18_090), "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  console.log(`http://127.0.0.1:${port}${PREFIX}`);
});
