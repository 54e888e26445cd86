// Payloads are bytes; what they might be is tried here, and nothing of it is ever run.

import { decodeCbor } from "./cbor";
import { decodeSparkplug } from "./sparkplug";

export type View = "text" | "json" | "hex" | "cbor" | "sparkplug";

export function fromBase64(text: string): Uint8Array {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at += 1) bytes[at] = raw.charCodeAt(at);
  return bytes;
}

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

export function asText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function asJson(bytes: Uint8Array): unknown {
  const text = asText(bytes);
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sixteen bytes a line: where, as numbers, as characters. */
export function asHex(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const numbers = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${numbers.padEnd(47)}  ${letters}`);
  }
  return lines.join("\n");
}

const MAYBE = "This is not ";

/** A payload as text in one view; says so if it is not of that kind. */
export function shown(bytes: Uint8Array, view: View): string {
  switch (view) {
    case "hex":
      return asHex(bytes);
    case "text":
      return asText(bytes) ?? `${MAYBE}text in UTF-8.`;
    case "json": {
      const value = asJson(bytes);
      return value === undefined ? `${MAYBE}JSON.` : JSON.stringify(value, null, 2);
    }
    case "cbor":
      return attempt(() => decodeCbor(bytes), "CBOR");
    case "sparkplug":
      return attempt(() => decodeSparkplug(bytes), "a Sparkplug B payload");
  }
}

function attempt(decode: () => unknown, what: string): string {
  try {
    return JSON.stringify(decode(), null, 2);
  } catch (error) {
    return `${MAYBE}${what}: ${error instanceof Error ? error.message : String(error)}.`;
  }
}

/** The view that suits a payload best. */
export function bestView(bytes: Uint8Array, topic: string): View {
  if (/^spBv1\.0\//.test(topic) && !topic.includes("/STATE/")) return "sparkplug";
  const value = asJson(bytes);
  if (value !== undefined && typeof value === "object") return "json";
  const text = asText(bytes);
  if (text !== null && !/[\u0000-\u0008\u000e-\u001f]/.test(text)) return "text";
  try {
    decodeCbor(bytes);
    return "cbor";
  } catch {
    return "hex";
  }
}

/** Numbers in a payload, by their path: what can be drawn as a curve. */
export function numbers(bytes: Uint8Array): Record<string, number> {
  const found: Record<string, number> = {};
  const walk = (value: unknown, path: string, depth: number): void => {
    if (Object.keys(found).length >= 12 || depth > 4) return;
    if (typeof value === "number" && Number.isFinite(value)) found[path || "value"] = value;
    else if (typeof value === "boolean") found[path || "value"] = value ? 1 : 0;
    else if (value && typeof value === "object") {
      for (const [key, inner] of Object.entries(value)) walk(inner, path ? `${path}.${key}` : key, depth + 1);
    }
  };
  walk(asJson(bytes), "", 0);
  return found;
}
