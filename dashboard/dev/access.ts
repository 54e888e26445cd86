// Made-up answers about access and administration.

import type * as T from "../src/api/types";
import { at, clients, HOSTILE } from "./data";

export const chain: T.Chain = {
  addresses: 41,
  throttled: 3,
  data: (["file", "database", "jwt"] as const).map((kind, n) => ({
    name: ["plant-passwords", "database", "sso"][n] ?? kind,
    kind,
    asked: 918_000 - n * 300_000,
    admitted: 612_000 - n * 200_000,
    denied: 812 * (n + 1),
    unknown: 300_000 - n * 90_000,
    cached: 0,
    failed: n === 2 ? 12 : 0,
    timed_out: n === 2 ? 4 : 0,
    refused_by_breaker: 0,
    busy: 0,
    inside: n,
    down: false,
    latency: { sum_ms: 91_000, buckets: [{ at_most_ms: 1, count: 9000 }, { at_most_ms: 10, count: 700 }, { at_most_ms: 100, count: 20 }, { at_most_ms: null, count: 1 }] },
  })),
};

export const users: T.User[] = Array.from({ length: 64 }, (_, n) => ({
  user_id: n % 11 === 3 ? HOSTILE[(n / 11) | 0] ?? "" : `line-${n}`,
  roles: n % 3 ? ["sensor"] : ["operator", "dashboards"],
  groups: n % 4 ? ["berlin"] : [],
  disabled: n % 13 === 5,
  is_superuser: n === 0,
  created_at: at(900_000),
  changed_at: at(n * 7000),
}));

export const mqttGroups: T.Group[] = ["berlin", "lyon", HOSTILE[4] ?? ""].map((name, n) => ({ name, members: 12 * (n + 1), roles: ["sensor"] }));

export const roles: T.MqttRole[] = [
  { name: "sensor", rules: [{ permission: "allow", action: "publish", topics: ["plant/%c/#"] }, { permission: "allow", action: "subscribe", topics: ["cmd/%c/#"], qos: [0, 1] }, { permission: "deny", action: "all", topics: ["#"] }] },
  { name: "dashboards", rules: [{ permission: "allow", action: "subscribe", topics: ["plant/#", "$SYS/#"] }] },
  { name: HOSTILE[6] ?? "", rules: [{ permission: "allow", action: "all", topics: [HOSTILE[0] ?? ""], exact: ["a/b"], retain: false }] },
];

export const denials: T.Denial[] = Array.from({ length: 70 }, (_, n) => ({
  at: at(n * 13),
  wanted: (["publish", "subscribe", "connect"] as const)[n % 3] ?? "publish",
  clientid: clients[n]?.clientid ?? null,
  username: clients[n]?.username ?? null,
  topic: n % 3 === 2 ? null : n % 7 === 0 ? HOSTILE[n % 8] ?? null : "admin/config",
  peer: "10.20.3.4:51234",
  why: n % 3 === 2 ? "the password is wrong" : "rule 3 of role sensor",
}));

export const bans: T.Ban[] = HOSTILE.slice(0, 4).map((who, n) => ({ as: (["clientid", "username", "peerhost"] as const)[n % 3] ?? "clientid", who: n % 3 === 2 ? "198.51.100.7" : who, reason: n ? "scans topics" : HOSTILE[1] ?? "", by: "admin", at: at(n * 7000), until: n % 2 ? "infinity" : at(-9000) }));

export const explained: T.Explained = {
  decision: "deny",
  rule: "role sensor, rule 3",
  why: "a rule denies it",
  ban: null,
  authentication: { connected: true, username: "berlin-line-2", provider: "database", asked: ["plant-passwords", "database"], roles: ["sensor"], groups: ["berlin"], is_superuser: false, anonymous_allowed: false },
  steps: [
    { rule: "role sensor, rule 1: allow publish plant/%c/#", outcome: "other_action" },
    { rule: "role sensor, rule 2: allow subscribe cmd/%c/#", outcome: "allows_part" },
    { rule: `role sensor, rule 3: deny all ${HOSTILE[0]}`, outcome: "decides" },
  ],
  limits: [{ name: "messages per second", value: "12 of 100", exceeded: false }, { name: "topic levels", value: "18 of 16", exceeded: true }],
  routing: clients.slice(0, 5).map((client) => ({ clientid: client.clientid, qos: 1, gets: client.connected ? "now" as const : "away" as const, share: null })),
  routing_more: true,
};

export const listeners: T.Listener[] = (["tcp", "tls", "ws", "unix"] as const).map((protocol, n) => ({
  name: ["default", "plant-tls", "browsers", "local"][n] ?? protocol,
  protocol,
  address: ["127.0.0.1:1883", "0.0.0.0:8883", "127.0.0.1:8083", "/run/nightjar/mqtt.sock"][n] ?? "",
  connections: [1200, 96_800, 211, 3][n] ?? 0,
  accepted: 912_000 * (n + 1),
  refused: n === 1 ? 112 : 0,
  failed_handshakes: n === 1 ? 2011 : 0,
  new_handshakes: n === 1 ? 410_000 : 0,
  resumed_handshakes: n === 1 ? 502_000 : 0,
  max_connections: n === 1 ? 100_000 : null,
  certificates:
    n === 1
      ? [9, 71, -3].map((days, m) => ({ name: `plant-${m}`, subject: m === 2 ? `CN=${HOSTILE[0]}` : "CN=mqtt.plant.example", issuer: "CN=Plant CA 2", sans: ["mqtt.plant.example", "10.20.0.4"], not_before: at(8_000_000), not_after: at(-days * 86_400 - 4000), fingerprint: `${"9f86d081884c7d65".repeat(4)}` }))
      : [],
}));

export const bridges: T.Bridge[] = (["connected", "waiting", "connecting", "idle", "off"] as const).map((state, n) => ({
  name: ["cloud", "plant-2", "archive", "night", "old"][n] ?? state,
  state,
  since: at(3600 * (n + 1)),
  enabled: state !== "off",
  connected_at: state === "connected" ? at(3600) : null,
  down_since: n === 1 || n === 2 ? at(7200) : null,
  addresses: ["mqtt.example.com:8883", "192.0.2.7:1883"],
  address: n === 4 ? null : "mqtt.example.com:8883",
  remote_clientid: `berlin.${n}`,
  local_clientid: `bridge.${n}`,
  user: n === 1 ? "plant" : null,
  last_error: n === 1 ? { message: `mqtt.example.com:8883: ${HOSTILE[0]} ${HOSTILE[1] ?? ""}`, at: at(40) } : null,
  messages_out: 912_000 * n,
  bytes_out: 91_000_000 * n,
  messages_in: 12_000 * n,
  bytes_in: 1_200_000 * n,
  inflight_out: n,
  inflight_in: 0,
  lag: n === 1 ? 48_112 : n,
  reconnects: n,
  failures: n === 1 ? 91 : 0,
  dropped: ["no_rule", "loop", "too_large", "slow"].map((reason, m) => ({ reason, count: n === 1 ? m * 11 : 0 })),
}));

export const audit: T.AuditLine[] = Array.from({ length: 90 }, (_, n) => ({
  id: `a${n}`,
  at: at(n * 1100),
  who: n % 3 ? "admin" : "uid 0",
  from: n % 3 ? "10.20.0.9" : "control socket",
  operation: ["user.create", "ban.create", "client.kick", "role.put", "config.apply"][n % 5] ?? "",
  target: n % 8 === 2 ? HOSTILE[n % 8] ?? "" : `line-${n}`,
  outcome: (["done", "done", "refused", "failed"] as const)[n % 4] ?? "done",
  why: n % 4 === 2 ? "this is for the rights \"admin\"" : null,
  before: { roles: ["sensor"] },
  after: { roles: ["sensor", HOSTILE[0]] },
}));

export const administrators: T.Administrator[] = [
  { username: "admin", role: "admin", description: "made at the first start", created_at: at(2_000_000) },
  { username: "night-shift", role: "operator", description: "control room", created_at: at(900_000) },
  { username: HOSTILE[2] ?? "", role: "viewer", description: HOSTILE[0] ?? "", created_at: at(300) },
];

export const keys: T.ApiKey[] = [
  { name: "grafana", api_key: "nj-6f1c2d3e", role: "viewer", enabled: true, expires_at: at(-8_000_000), created_at: at(9000), description: "scrapes metrics" },
  { name: "deploy", api_key: "nj-90aa11bc", role: "operator", enabled: true, expires_at: at(3000), created_at: at(900_000), description: HOSTILE[1] ?? "" },
  { name: "old", api_key: "nj-0001ffee", role: "admin", enabled: false, expires_at: null, created_at: at(9_000_000), description: "" },
];
