// MQTT.js behind a few functions. Only this file knows it, and only the test client loads this file.

import mqtt from "mqtt";
import { plain } from "../../lib/inert";
import type { Saved } from "./saved";

export interface Received {
  n: number;
  at: number;
  topic: string;
  payload: Uint8Array;
  qos: number;
  retain: boolean;
}

interface Events {
  onStage: (stage: "off" | "connecting" | "on", why?: string) => void;
  onMessage: (message: Received) => void;
}

export interface Connected {
  subscribe: (filter: string, qos: 0 | 1 | 2) => Promise<string>;
  unsubscribe: (filter: string) => Promise<string>;
  publish: (topic: string, payload: string, qos: 0 | 1 | 2, retain: boolean) => Promise<string>;
  end: () => void;
}

let n = 0;

export function connect(saved: Saved & { password: string }, events: Events): Connected {
  const five = saved.version === "5";
  const client = mqtt.connect(saved.url, {
    protocolVersion: five ? 5 : 4,
    clientId: saved.clientid || (five ? "" : `nightjar-${Math.random().toString(16).slice(2, 10)}`),
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: 8000,
    // No worker made of text: the policy forbids it.
    timerVariant: "native",
    ...(saved.username ? { username: saved.username } : {}),
    ...(saved.password ? { password: saved.password } : {}),
  });
  let over = false;
  let was = false;
  const off = (why?: string) => {
    if (over) return;
    over = true;
    // A browser does not tell a page why there was no connection at all.
    const hint = was || !why ? why : `${why}. Is there such a listener, and do its origins name ${location.origin}?`;
    events.onStage("off", hint);
    client.end(true);
  };
  client.on("connect", () => {
    was = true;
    events.onStage("on");
  });
  client.on("error", (error) => off(error.message));
  client.on("disconnect", (packet) => off(`the server says: reason ${packet.reasonCode ?? 0}`));
  client.on("close", () => off("the connection is closed"));
  client.on("message", (topic, payload, packet) => {
    n += 1;
    events.onMessage({ n, at: Date.now(), topic, payload: new Uint8Array(payload), qos: packet.qos, retain: packet.retain });
  });
  return {
    subscribe: async (filter, qos) => {
      const granted = await client.subscribeAsync(filter, { qos });
      const code = granted[0]?.qos ?? qos;
      if (code > 2) throw new Error(`refused, reason ${code}`);
      return `Subscribed to ${plain(filter)}, QoS ${code}`;
    },
    unsubscribe: async (filter) => {
      await client.unsubscribeAsync(filter);
      return `Unsubscribed from ${plain(filter)}`;
    },
    publish: async (topic, payload, qos, retain) => {
      await client.publishAsync(topic, payload, { qos, retain });
      return "Published";
    },
    end: () => {
      over = true;
      client.end(false);
      events.onStage("off");
    },
  };
}
