import type { Client } from "../../api/types";
import { save } from "../../lib/save";

/** The rows of this page, for a spreadsheet. A cell that begins like a formula is made text. */
export function csv(rows: Client[]): void {
  const names = ["clientid", "username", "peer", "listener", "transport", "proto_ver", "connected", "connected_at", "subscriptions_count", "queued", "inflight", "mqueue_dropped", "recv_msg", "send_msg", "recv_oct", "send_oct"] as const;
  const cell = (value: unknown): string => {
    const text = String(value ?? "");
    const inert = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return `"${inert.replaceAll('"', '""')}"`;
  };
  const lines = [names.join(","), ...rows.map((row) => names.map((name) => cell(row[name])).join(","))];
  save("clients.csv", new Blob([lines.join("\r\n")], { type: "text/csv" }));
}
