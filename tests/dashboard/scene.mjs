// A small company on a real server: three plants that report, programs that listen, people who
// look, and a few things that go wrong. For pictures, and to try pages with something on them.

import mqtt from "mqtt";
import { server } from "./server.mjs";

export const PASSWORD = "a password for pictures";
const SECRET = "a password for machines";
const SITES = ["berlin", "lyon", "porto"];
const MACHINES = ["pump-1", "pump-2", "press-1", "robot-1", "robot-2", "oven-1"];

const CONFIG = `
[[authentication]]
type = "database"

[limits]
queued_messages = 500
flapping_connects = 20
flapping_ban = "10m"

[[rule]]
deny = "publish"
topics = ["plant/+/+/set/#"]
users = ["berlin", "lyon", "porto"]

[[rule]]
allow = "publish"
topics = ["plant/\${username}/#"]

[[rule]]
allow = "all"
topics = ["homeassistant/#", "office/#"]

[[rule]]
allow = "subscribe"
topics = ["plant/#", "$SYS/#"]
`;

/** One to a server that is there, and one that is not. */
const bridges = (port) => `
[[bridge]]
name = "headquarters"
addresses = ["127.0.0.1:${port}"]
topics = ["plant/# out 1", "orders/# in 1"]

[[bridge]]
name = "old-site"
addresses = ["127.0.0.1:1"]
topics = ["plant/+/+/online out 1"]
`;

/** A number that wanders around `middle` with the time of day and a little by itself. */
function wander(middle, swing, seed) {
  let own = 0;
  return () => {
    own = own * 0.95 + (Math.random() - 0.5) * swing * 0.2;
    return Math.round((middle + swing * Math.sin(Date.now() / 300_000 + seed) + own) * 100) / 100;
  };
}

/** Starts the scene. `api(method, path, body)` asks the server as its first administrator. */
export async function scene() {
  const headquarters = await server();
  const running = await server({ config: CONFIG + bridges(headquarters.mqtt) });
  let token;
  const api = async (method, path, body) => {
    const answer = await fetch(`${running.base}api/v5/${path}`, {
      method,
      headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
  };
  ({ token } = await api("POST", "setup", { code: await running.code(), username: "admin", password: PASSWORD }));
  token ??= (await api("POST", "login", { username: "admin", password: PASSWORD })).token;
  await people(api);
  const clients = [...(await programs(running)), ...(await machines(running)), ...(await trouble(running))];
  return {
    base: running.base,
    api,
    stop: async () => {
      clients.forEach((one) => one.stop());
      await running.stop();
      await headquarters.stop();
    },
  };
}

/** Who may do what, and who looks after it. */
async function people(api) {
  await api("PUT", "authorization/roles/operate", { rules: [{ permission: "allow", action: "publish", topics: ["plant/+/+/set/#"], qos: [1, 2] }] });
  await api("PUT", "authorization/groups/shift-leaders", { roles: ["operate"] });
  for (const user_id of [...SITES, "historian", "scada", "home-assistant", "tablet"]) {
    await api("POST", "authentication/database/users", { user_id, password: SECRET, groups: user_id === "scada" ? ["shift-leaders"] : [] });
  }
  await api("POST", "admins", { username: "maria", password: PASSWORD, role: "operator", description: "Second shift" });
  await api("POST", "admins", { username: "wall-screen", password: PASSWORD, role: "viewer", description: "The screen in the hall" });
  await api("POST", "api_key", { name: "grafana", role: "viewer", description: "Scrapes the metrics" });
  await api("POST", "api_key", { name: "deploy", role: "operator", description: "Brings new machines in" });
  await api("POST", "banned", { as: "clientid", who: "lyon-press-9", reason: "Taken out of service" });
  await api("POST", "banned", { as: "peerhost", who: "203.0.113.7", reason: "Tries passwords", until: new Date(Date.now() + 86_400_000).toISOString() });
}

async function connect(running, clientId, username, more = {}) {
  const at = more.web ? `ws://127.0.0.1:${running.ports.ws}/mqtt` : `mqtt://127.0.0.1:${running.mqtt}`;
  const client = mqtt.connect(at, { clientId, username, password: SECRET, protocolVersion: 5, reconnectPeriod: 0, ...more });
  client.on("error", () => undefined);
  await new Promise((resolve) => client.once("connect", resolve));
  return client;
}

const every = (milliseconds, work) => {
  const timer = setInterval(work, milliseconds);
  return { stop: () => clearInterval(timer) };
};

async function machines(running) {
  const started = [];
  for (const [number, site] of SITES.entries()) {
    for (const machine of MACHINES) {
      const topic = `plant/${site}/${machine}`;
      const will = { topic: `${topic}/online`, payload: "false", qos: 1, retain: true };
      const client = await connect(running, `${site}-${machine}`, site, { will, protocolVersion: number === 2 ? 4 : 5 });
      started.push({ stop: () => client.end(true) });
      await client.publishAsync(will.topic, "true", { qos: 1, retain: true });
      await client.publishAsync(`${topic}/info`, JSON.stringify({ maker: "Example Works", firmware: "2.4.1", site }), { qos: 1, retain: true });
      await client.subscribeAsync(`${topic}/set/#`, { qos: 1 });
      const temperature = wander(58, 9, number);
      const power = wander(4.2, 1.3, number + machine.length);
      started.push(every(500, () => client.publish(`${topic}/temperature`, JSON.stringify({ value: temperature(), unit: "C", at: new Date().toISOString() }))));
      started.push(every(1000, () => client.publish(`${topic}/power`, JSON.stringify({ kw: power(), phases: [power(), power(), power()].map((one) => Math.round(one * 33) / 100) }), { qos: 1 })));
    }
  }
  return started;
}

async function programs(running) {
  const away = { clean: false, properties: { sessionExpiryInterval: 86_400 } };
  const started = [];
  for (const number of [1, 2, 3]) {
    const client = await connect(running, `historian-${number}`, "historian", away);
    await client.subscribeAsync("$share/history/plant/#", { qos: 1 });
    started.push({ stop: () => client.end(true) });
  }
  const scada = await connect(running, "scada-hall-2", "scada", { web: true });
  await scada.subscribeAsync({ "plant/+/+/power": { qos: 1 }, "plant/+/+/online": { qos: 1 } });
  started.push({ stop: () => scada.end(true) });
  started.push(every(7000, () => scada.publish("plant/lyon/oven-1/set/target", JSON.stringify({ value: 61 }), { qos: 2 })));
  const home = await connect(running, "home-assistant", "home-assistant");
  await home.subscribeAsync("homeassistant/#", { qos: 1 });
  for (const room of ["kitchen", "hall", "office"]) {
    const payload = JSON.stringify({ name: `Temperature ${room}`, state_topic: `office/${room}/temperature`, unit_of_measurement: "°C", device_class: "temperature" });
    await home.publishAsync(`homeassistant/sensor/${room}/config`, payload, { qos: 1, retain: true });
  }
  started.push({ stop: () => home.end(true) });
  return started;
}

/** What an operator looks for. */
async function trouble(running) {
  const started = [];
  // Away, with a queue that is full before long.
  const away = { clean: false, properties: { sessionExpiryInterval: 86_400 } };
  const tablet = await connect(running, "tablet-maria", "tablet", away);
  await tablet.subscribeAsync("plant/berlin/#", { qos: 1 });
  await tablet.endAsync();
  // Takes its time: one message in flight, acknowledged late.
  const slow = await connect(running, "report-writer", "historian", {
    properties: { receiveMaximum: 4 },
    customHandleAcks: (_topic, _message, _packet, done) => setTimeout(() => done(0), 8000),
  });
  await slow.subscribeAsync("plant/porto/+/power", { qos: 1 });
  started.push({ stop: () => slow.end(true) });
  // May not what it wants.
  const curious = await connect(running, "lyon-laptop", "lyon");
  started.push({ stop: () => curious.end(true) });
  started.push(every(4000, () => curious.publish("plant/berlin/pump-1/set/target", "99")));
  // Does not know its password, and a banned one that tries again.
  for (const [clientId, username, password] of [["porto-panel", "porto", "wrong"], ["lyon-press-9", "lyon", SECRET]]) {
    started.push(
      every(240_000, () => {
        const client = mqtt.connect(`mqtt://127.0.0.1:${running.mqtt}`, { clientId, username, password, protocolVersion: 5, reconnectPeriod: 0 });
        client.on("error", () => client.end(true));
      }),
    );
  }
  return started;
}
