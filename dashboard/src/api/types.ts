// What the API speaks. Shapes come from docs/openapi.json where it has them, so that a change of
// the server that this dashboard does not follow is an error of the compiler; the rest stands here
// until the server has it.

import type { components } from "./schema";

type Schemas = components["schemas"];
/** The server's own shape if it has one of this name, else ours. */
type Served<Name extends string, Ours> = Name extends keyof Schemas ? Schemas[Name] : Ours;

export type Role = "viewer" | "operator" | "admin";
export type Meta = { page?: number; limit?: number; count?: number; hasnext?: boolean; cursor?: string | null; after?: string; last?: string; sampled?: boolean };
export interface Rows<T> {
  data: T[];
  meta: Meta;
}

// Access, as the server has it.
export type Ban = Schemas["Ban"];
export type NewBan = Schemas["NewBan"];
export type User = Schemas["User"];
export type NewUser = Schemas["NewUser"];
export type UserChange = Schemas["UserChange"];
export type Group = Schemas["Group"];
export type MqttRole = Schemas["Role"];
export type Rule = Schemas["Rule"];
export type Provider = Schemas["Provider"];
export type Chain = Schemas["Chain"];
export type Denial = Schemas["Denial"];
export type ExplainRequest = Schemas["ExplainRequest"];
export type Explained = Schemas["Explained"];
export type Listener = Schemas["Listener"];
export type Bridge = Schemas["Bridge"];
export type AuditLine = Schemas["Line"];
export type Imported = Schemas["Imported"];
export type Status = Schemas["Status"];

export type Login = Served<
  "Session",
  {
    token: string;
    role: Role;
    expires_at: string;
  }
>;
export type Administrator = Served<
  "Administrator",
  {
    username: string;
    role: Role;
    description: string;
    created_at: string;
  }
>;
export type ApiKey = Served<
  "ApiKey",
  {
    name: string;
    api_key: string;
    role: Role;
    description?: string;
    enabled: boolean;
    expires_at?: string | null;
    created_at: string;
  }
>;
export type NewApiKey = ApiKey & { api_secret: string };

export type Overview = Served<
  "Overview",
  {
    version: string;
    node: string;
    uptime_ms: number;
    started_at: string;
    connections: number;
    sessions: number;
    subscriptions: number;
    shared_subscriptions: number;
    topics: number;
    retained: number;
    messages_in_per_s: number;
    messages_out_per_s: number;
    dropped_per_s: number;
    bytes_in_per_s: number;
    bytes_out_per_s: number;
    cpu_percent?: number;
    memory_bytes?: number;
    disk_bytes?: number;
    disk_free_bytes?: number;
    open_files?: number;
    open_files_limit?: number;
    workers?: { id: number; connections: number; busy_percent: number }[];
    store?: {
      class: string;
      messages: number;
      bytes: number;
      oldest_ms: number;
      commit_p50_us: number;
      commit_p99_us: number;
      syncs: number;
      sync_failures: number;
      state: string;
    };
    alarms: number;
  }
>;

export type Sample = {
  time_stamp: number;
  connections: number;
  received: number;
  sent: number;
  dropped: number;
  bytes_in: number;
  bytes_out: number;
  cpu_percent?: number;
  memory_bytes?: number;
  disk_bytes?: number;
};

/** A client, in the list and by itself: what the server has today, and what the contract adds. */
export type Client = Schemas["Client"] & {
  properties?: Record<string, unknown>;
  rtt_ms?: number;
};

export type QueuedMessage = Schemas["QueuedMessage"];
export interface TimelineEvent {
  at: string;
  event: string;
  reason?: string | null;
  detail?: Record<string, unknown> | null;
  peer?: string | null;
}

export type SubscriptionRow = Schemas["Subscribed"];
export type SharedGroup = Schemas["SharedGroup"];
export type Matched = Schemas["Matched"];

export interface TopicNode {
  name: string;
  topic: string;
  children: number;
  messages: number;
  rate: number;
  bytes_rate: number;
  retained: boolean;
  last_at?: string | null;
}
export interface TopicValue {
  topic?: string;
  payload: string;
  size: number;
  truncated?: boolean;
  qos: number;
  retain: boolean;
  /** Not known of some retained messages. */
  at?: string | null;
  properties?: Record<string, unknown> | null;
}
export type LastValue = TopicValue & { history?: TopicValue[] };

export type Retained = Schemas["RetainedMessage"];

export interface Drops {
  total: number;
  by_reason: { reason: string; count: number; rate: number }[];
  by_client: { clientid: string; count: number; reason?: string }[];
  by_topic: { topic: string; count: number; reason?: string }[];
  samples: { at: string; reason: string; clientid?: string | null; topic?: string | null; qos?: number; size?: number; detail?: string | null }[];
}
export interface SlowSubscription {
  clientid: string;
  topic: string;
  timespan_ms: number;
  last_update: string;
}
/** What the server has, and how grave it is where that is said. */
export type Alarm = Schemas["Alarm"] & { severity?: "info" | "warning" | "critical" };
export interface Trace {
  name: string;
  type: "clientid" | "topic" | "ip_address";
  value: string;
  status?: string;
  start_at?: string | null;
  end_at?: string | null;
  payload_encode?: "hidden" | "text" | "hex";
  size?: number;
}
export interface CertificateRow {
  listener: string;
  subject: string;
  issuer: string;
  sans: string[];
  not_before: string;
  not_after: string;
  days_left: number;
  source: string;
  fingerprint: string;
}
export interface Configs {
  toml: string;
  /** Stands for the file's text. */
  etag?: string | null;
  values: { key: string; value: string; source: string }[];
}
export interface Checked {
  ok: boolean;
  problems: { line?: number | null; column?: number | null; key?: string | null; message: string; hint?: string | null }[];
  changes: { key: string; from?: string | null; to?: string | null; needs_restart: boolean }[];
}
export interface ConfigVersion {
  version: number | string;
  at: string;
  by?: string | null;
  note?: string | null;
}
