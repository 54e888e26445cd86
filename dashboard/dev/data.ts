// Made-up answers, in the shapes that the pages compile against. Among them what hostile clients
// would send: the tests look whether it stays text.

import type * as T from "../src/api/types";

const PLAIN = process.env["MOCK_PLAIN"] === "1";
export const HOSTILE = PLAIN ? ["gent-pump-009", "lyon-meter-021", "torino-press-004", "berlin-scada-007", "line-3", "archive", "gateway", "night-shift"] : [
  "<script>fetch('//evil.example')</script>",
  "<img src=x onerror=alert(1)>",
  "safe\u202egnp.exe",
  "a\u200bb\u0000c\u0007d\ne",
  "javascript:alert(1)",
  "{{7*7}}${7*7}",
  "'\"><svg onload=alert(1)>",
  "../../etc/passwd",
];

const START = Date.now();
export const at = (secondsAgo: number): string => new Date(Date.now() - secondsAgo * 1000).toISOString();
const b64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64");

/** The same "random" numbers at each start. */
export const chance = (n: number): number => {
  const x = Math.sin(n * 12.9898) * 43758.5453;
  return x - Math.floor(x);
};

const KINDS = ["press", "pump", "boiler", "conveyor", "robot", "meter", "gateway", "scada"];
const PLACES = ["berlin", "lyon", "torino", "gent"];

export const clients: T.Client[] = Array.from({ length: 240 }, (_, n): T.Client => {
  const kind = KINDS[n % KINDS.length] ?? "meter";
  const place = PLACES[Math.floor(chance(n) * 4)] ?? "gent";
  const connected = chance(n + 7) > 0.12;
  const tls = chance(n + 3) > 0.5;
  const clientid = `${place}-${kind}-${String(n).padStart(3, "0")}`;
  const queued = connected ? (n % 17 === 0 ? 41 : 0) : Math.floor(chance(n) * 900);
  const address = `10.${20 + (n % 4)}.${Math.floor(chance(n + 1) * 200)}.${(n * 7) % 250}`;
  return {
    clientid,
    username: n % 5 === 0 ? null : `${place}-line-${(n % 4) + 1}`,
    peer: `${address}:${40_000 + n * 13}`,
    ip_address: address,
    listener: tls ? "plant-tls" : "default",
    transport: tls ? "tls" : n % 11 === 0 ? "ws" : "tcp",
    proto_ver: n % 3 === 0 ? "3.1.1" : "5.0",
    connected,
    connected_at: at(chance(n + 2) * 400_000 + 30),
    disconnected_at: connected ? null : at(chance(n + 5) * 9000),
    clean_start: n % 3 === 0,
    expiry_interval: 7200,
    keepalive: 60,
    subscriptions: [],
    subscriptions_count: 1 + (n % 7),
    subscriptions_cnt: 1 + (n % 7),
    queued,
    mqueue_len: queued,
    mqueue_bytes: 0,
    mqueue_dropped: n % 23 === 0 ? Math.floor(chance(n) * 3000) : 0,
    inflight: n % 4,
    inflight_cnt: n % 4,
    awaiting_rel_cnt: 0,
    worker: n % 4,
    recv_msg: Math.floor(chance(n + 11) * 4_000_000),
    send_msg: Math.floor(chance(n + 12) * 900_000),
    recv_oct: Math.floor(chance(n + 13) * 900_000_000),
    send_oct: Math.floor(chance(n + 14) * 200_000_000),
    groups: ["berlin"],
    roles: ["sensor"],
    is_superuser: false,
    provider: "database",
    granted_until: null,
    certificate: tls ? `CN=${clientid}` : null,
  };
});
/** Hostile ids stand among the others; MOCK_PLAIN=1 leaves them out, for pictures. */
if (!PLAIN) {
  for (const [n, id] of HOSTILE.entries()) {
    const row = clients[n * 3];
    if (row) Object.assign(row, { clientid: id, username: HOSTILE[(n + 1) % HOSTILE.length] });
  }
}

const wave = (t: number, n: number): number => Math.sin(t / 41 + n) * 0.12 + Math.sin(t / 7 + n * 2) * 0.05 + 1;

export function overview(t = Date.now() / 1000): T.Overview {
  const rate = 18_400 * wave(t, 1);
  return {
    version: "0.1.0",
    node: "nightjar-1",
    uptime_ms: Date.now() - START + 1_912_000_000,
    started_at: at(1_912_000),
    connections: Math.round(98_200 * (1 + Math.sin(t / 300) * 0.01)),
    sessions: 104_310,
    subscriptions: 312_877,
    shared_subscriptions: 164,
    topics: 1_048_576,
    retained: 61_204,
    messages_in_per_s: rate,
    messages_out_per_s: rate * 2.3 * wave(t, 2),
    dropped_per_s: Math.max(0, Math.sin(t / 19) * 30 - 20),
    bytes_in_per_s: rate * 180,
    bytes_out_per_s: rate * 420,
    cpu_percent: 61 * wave(t, 3),
    memory_bytes: 2_900_000_000 * (1 + Math.sin(t / 90) * 0.02),
    disk_bytes: 41_000_000_000,
    disk_free_bytes: 390_000_000_000,
    open_files: 98_600,
    open_files_limit: 1_048_576,
    workers: [0, 1, 2, 3].map((id) => ({ id, connections: 24_000 + id * 120, busy_percent: 48 * wave(t, id) })),
    store: { class: "disk", messages: 1_204_992, bytes: 41_000_000_000, oldest_ms: 6_400_000, commit_p50_us: 840, commit_p99_us: 4100, syncs: 8_120_441, sync_failures: 0, state: "running" },
    alarms: 2,
  } as T.Overview;
}

export function monitor(latest: number): T.Sample[] {
  const step = latest <= 3600 ? 5 : latest <= 86_400 ? 120 : 840;
  const now = Math.floor(Date.now() / 1000 / step) * step;
  return Array.from({ length: 720 }, (_, n) => {
    const t = now - (719 - n) * step;
    const day = 1 + Math.sin(((t % 86_400) / 86_400) * 2 * Math.PI - 1.5) * 0.35;
    const noise = 1 + (chance(t % 9973) - 0.5) * 0.06;
    const received = 18_000 * day * noise * step;
    return {
      time_stamp: t * 1000,
      connections: Math.round(97_000 * (0.93 + day * 0.06)),
      received,
      sent: received * 2.2 * (1 + (chance(t % 7919) - 0.5) * 0.05),
      dropped: chance(t % 6007) > 0.97 ? 900 * step * 0.2 : 0,
      bytes_in: received * 180,
      bytes_out: received * 400,
      cpu_percent: 58 * day * noise,
      memory_bytes: 2_700_000_000 + 200_000_000 * day,
      disk_bytes: 40_000_000_000,
    };
  });
}

export const subscriptions: T.SubscriptionRow[] = clients.slice(0, 200).flatMap((client, n) => [
  { clientid: client.clientid, topic: `plant/${PLACES[n % 4]}/${KINDS[n % 8]}/+/state`, qos: n % 3, nl: n % 5 === 0, rap: n % 2 === 0, rh: n % 3 },
  { clientid: client.clientid, topic: n % 6 === 0 ? HOSTILE[n % HOSTILE.length] ?? "" : `cmd/${n}/#`, qos: 1, nl: false, rap: false, rh: 0, share: n % 10 === 0 ? "workers" : null },
]);

export const groups: T.SharedGroup[] = ["workers", "archive", "alerts"].map((group, n) => ({
  group,
  topic: ["jobs/+/new", "plant/#", "+/+/alarm"][n] ?? "",
  members: clients.slice(n * 6, n * 6 + 4).map((client, m) => ({ clientid: client.clientid, connected: client.connected, inflight: m * 3, queued: m === 2 ? 18 : 0 })),
}));

const node = (name: string, topic: string, children: number, n: number): T.TopicNode => ({
  name,
  topic,
  children,
  messages: Math.floor(chance(n) * 9_000_000) + children,
  rate: children ? chance(n + 1) * 6000 : chance(n + 1) * 12,
  bytes_rate: chance(n + 2) * 90_000,
  retained: children === 0 && n % 3 === 0,
  last_at: at(chance(n) * 20),
});

export function topics(under: string): T.TopicNode[] {
  const depth = under === "" ? 0 : under.split("/").length;
  const path = (name: string) => (under === "" ? name : `${under}/${name}`);
  const row = (name: string, children: number, n: number) => node(name, path(name), children, n + depth * 31 + under.length);
  if (depth === 0) return [...["plant", "spBv1.0", "homeassistant", "zigbee2mqtt", "fleet", "cmd", "$SYS"].map((name, n) => row(name, [4, 3, 412, 88, 2400, 200, 12][n] ?? 1, n)), row(HOSTILE[1] ?? "", 0, 9), row(HOSTILE[2] ?? "", 0, 10)];
  if (under === "plant") return PLACES.map((name, n) => row(name, 8, n));
  if (under === "spBv1.0") return ["Torino", "Gent", "Lyon"].map((name, n) => row(name, 1, n));
  if (depth === 1) return Array.from({ length: 130 }, (_, n) => row(`${under.slice(0, 4)}-${n}`, 0, n));
  if (depth === 2) return KINDS.map((name, n) => row(name, 3, n));
  if (depth === 3) return ["line-1", "line-2", "line-3"].map((name, n) => row(name, 4, n));
  return ["state", "temperature", "power", "vibration"].map((name, n) => row(name, 0, n));
}

const reading = (n: number): string =>
  JSON.stringify({ ts: Math.floor(Date.now() / 1000) - n * 5, temperature: Number((61 + Math.sin((Date.now() / 1000 - n * 5) / 30) * 4).toFixed(2)), pressure: Number((4.1 + chance(n) * 0.3).toFixed(3)), running: n % 7 !== 0, unit: { id: "P-117", note: HOSTILE[0] } });

export function lastValue(topic: string): T.LastValue {
  const one = (n: number): T.TopicValue => {
    const payload = topic.startsWith("spBv1.0") ? SPARKPLUG : Buffer.from(reading(n));
    return { payload: b64(payload), size: payload.length, qos: 1, retain: n === 0, at: at(n * 5), truncated: false };
  };
  return {
    ...one(0),
    topic,
    properties: { content_type: "application/json", user_properties: [["line", HOSTILE[1] ?? ""]], message_expiry_interval: 3600 },
    history: Array.from({ length: 20 }, (_, n) => one(n)),
  };
}

// timestamp, one metric {name "Temp", timestamp, datatype Double, 21.5}, seq 3
const SPARKPLUG = Uint8Array.from([8, 0x80, 0x88, 0xa5, 0xd6, 0xe5, 0x32, 0x12, 0x18, 0x0a, 4, 0x54, 0x65, 0x6d, 0x70, 0x18, 0x80, 0x88, 0xa5, 0xd6, 0xe5, 0x32, 0x20, 10, 0x69, 0, 0, 0, 0, 0, 0x80, 0x35, 0x40, 0x18, 3]);

export const retained: T.Retained[] = Array.from({ length: 130 }, (_, n) => ({
  topic: n % 16 === 4 ? HOSTILE[(n / 16) % HOSTILE.length | 0] ?? "" : `plant/${PLACES[n % 4]}/${KINDS[n % 8]}/line-${(n % 3) + 1}/state`.concat(n > 31 ? `/${n}` : ""),
  qos: n % 2,
  publish_at: at(n * 97 + 3),
  from_clientid: clients[n]?.clientid ?? null,
  from_username: clients[n]?.username ?? null,
  size: 96 + n,
  expires_at: n % 5 === 0 ? at(-3600) : null,
  payload: b64(reading(n)),
}));

export const drops: T.Drops = {
  total: 48_112,
  by_reason: [
    { reason: "queue_full", count: 41_200, rate: 3.2 },
    { reason: "expired", count: 5_900, rate: 0 },
    { reason: "not_authorized", count: 812, rate: 0.1 },
    { reason: "packet_too_large", count: 200, rate: 0 },
  ],
  by_client: clients.slice(20, 40).map((client, n) => ({ clientid: client.clientid, count: 9000 - n * 400, reason: "queue_full" })),
  by_topic: retained.slice(0, 18).map((row, n) => ({ topic: row.topic, count: 7000 - n * 300, reason: n % 4 ? "queue_full" : "expired" })),
  samples: retained.slice(0, 30).map((row, n) => ({ at: at(n * 4), reason: n % 5 ? "queue_full" : "expired", clientid: clients[n + 20]?.clientid ?? null, topic: row.topic, qos: 1, size: 140, detail: n % 5 ? "1,000 messages wait" : null })),
};

export const slow: T.SlowSubscription[] = clients.slice(60, 84).map((client, n) => ({ clientid: client.clientid, topic: `plant/${PLACES[n % 4]}/${KINDS[n % 8]}/state`, timespan_ms: Math.round(9200 / (n + 1)), last_update: at(n * 11) }));

export const alarms: T.Alarm[] = [
  { name: "certificate_expiry", about: "plant-tls", message: "The certificate of listener plant-tls expires in 9 days", severity: "warning", activate_at: at(40_000), last_at: at(40_000), count: 1 },
  { name: "drops", about: HOSTILE[0] ?? "", message: "More than 1 % of the messages to berlin-scada-007 are dropped", severity: "critical", activate_at: at(240), last_at: at(30), count: 7 },
];
export const pastAlarms: T.Alarm[] = [{ name: "slow_sync", about: "store", message: "The disk takes longer than 500 ms to sync", severity: "warning", activate_at: at(400_000), last_at: at(399_500), deactivate_at: at(399_100), count: 3 }];

export const TOML = `# What the server of the plant does.
[server]
workers = 4

[[listeners]]
name = "default"
protocol = "tcp"
address = "127.0.0.1:1883"

[[listeners]]
name = "plant-tls"
protocol = "tls"
address = "0.0.0.0:8883"
certificate = "/etc/nightjar/plant.pem"
key = "/etc/nightjar/plant.key"

[storage]
path = "/var/lib/nightjar"
class = "disk"

[log]
level = "info"
`;
export const configs: T.Configs = {
  toml: TOML,
  values: [
    { key: "server.workers", value: "4", source: "file:3" },
    { key: "listeners.default.address", value: "127.0.0.1:1883", source: "file:8" },
    { key: "listeners.plant-tls.address", value: "0.0.0.0:8883", source: "file:13" },
    { key: "listeners.plant-tls.key_password", value: "***", source: "env" },
    { key: "storage.class", value: "disk", source: "file:19" },
    { key: "storage.path", value: "/var/lib/nightjar", source: "flag" },
    { key: "limits.max_packet_size", value: "1048576", source: "default" },
    { key: "limits.max_queued_messages", value: "1000", source: "default" },
    { key: "limits.max_inflight", value: "32", source: "default" },
    { key: "log.level", value: "info", source: "file:22" },
  ],
};
