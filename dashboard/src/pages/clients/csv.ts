import type { ClientRow } from "../../api/types";
import { save } from "../../lib/save";

/** The rows of this page, for a spreadsheet. A cell that begins like a formula is made text. */
export function csv(rows: ClientRow[]): void {
  const names = ["clientid", "username", "ip_address", "port", "listener", "transport", "proto_ver", "connected", "connected_at", "subscriptions_cnt", "mqueue_len", "mqueue_dropped", "inflight_cnt", "recv_msg", "send_msg", "recv_oct", "send_oct"] as const;
  const cell = (value: unknown): string => {
    const text = String(value ?? "");
    const inert = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return `"${inert.replaceAll('"', '""')}"`;
  };
  const lines = [names.join(","), ...rows.map((row) => names.map((name) => cell(row[name])).join(","))];
  save("clients.csv", new Blob([lines.join("\r\n")], { type: "text/csv" }));
}
