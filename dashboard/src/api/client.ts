// How the dashboard speaks to the server. One bearer token in the header, no cookie: another site
// can make no request in the user's name.

import { signal } from "@preact/signals";
import { session, signedOut } from "../state/session";

/** What the server refused, and why, in its own words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  /** The server does not have this endpoint, or says that it cannot do it. */
  get notOffered(): boolean {
    return this.status === 501 || this.status === 405 || (this.status === 404 && this.message === NOTHING);
  }
}

/** What the API says where its table has no route. */
const NOTHING = "there is nothing at this path";

/** Where the API is: beside the dashboard, whatever the path in front of both. */
export const root = new URL("./", document.baseURI);

/** The newest request of this page, for "copy as curl". */
export interface Asked {
  method: string;
  path: string;
  body?: string;
}
export const asked = signal<Asked[]>([]);

/** A new page begins: what the former one asked is not its business. */
export function forgetAsked(): void {
  asked.value = [];
}

function note(method: string, path: string, body?: string): void {
  const rest = asked.peek().filter((one) => one.method !== method || one.path.split("?")[0] !== path.split("?")[0]);
  asked.value = [{ method, path, body }, ...rest].slice(0, 6);
}

export type Query = Record<string, string | number | boolean | undefined | null>;

/** A path with a query; what is empty is left out. */
export function withQuery(path: string, query?: Query): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

/** A name as one piece of a path. */
export const piece = (name: string): string => encodeURIComponent(name).replace(/[.'()*!~]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

export interface Options {
  query?: Query;
  body?: unknown;
  /** The body as it is, instead of JSON. */
  raw?: { type: string; body: Blob | string };
  signal?: AbortSignal;
  headers?: Record<string, string>;
  /** Requests that the user did not cause are not shown to him. */
  quiet?: boolean;
}

/** Asks the API, and gives the response if it is a good one. */
export async function ask(method: string, path: string, options: Options = {}): Promise<Response> {
  const address = withQuery(`api/v5/${path}`, options.query);
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  const token = session.peek()?.token;
  if (token) headers["Authorization"] = `Bearer ${token}`;
  let body: BodyInit | undefined;
  if (options.raw) {
    headers["Content-Type"] = options.raw.type;
    body = options.raw.body;
  } else if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.body);
  }
  if (!options.quiet) note(method, address, typeof body === "string" ? body : undefined);
  const init: RequestInit = { method, headers, credentials: "omit", cache: "no-store", redirect: "error" };
  if (body !== undefined) init.body = body;
  if (options.signal) init.signal = options.signal;
  const response = await fetch(new URL(address, root), init);
  if (response.ok) return response;
  const refused = await refusal(response);
  if (response.status === 401 && token) signedOut("Your session is over. Sign in again.");
  throw refused;
}

async function refusal(response: Response): Promise<ApiError> {
  const text = (await response.text()).slice(0, 4096);
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown };
    return new ApiError(response.status, String(code ?? ""), String(message ?? response.statusText));
  } catch {
    // A proxy's page, not the API's words.
    return new ApiError(response.status, "", `the server answered ${response.status} ${response.statusText}`);
  }
}

async function json<T>(response: Response): Promise<T> {
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export const get = async <T>(path: string, query?: Query, options: Options = {}): Promise<T> =>
  json<T>(await ask("GET", path, { ...options, query }));
export const post = async <T = void>(path: string, body?: unknown, options: Options = {}): Promise<T> =>
  json<T>(await ask("POST", path, { ...options, body }));
export const put = async <T = void>(path: string, body?: unknown, options: Options = {}): Promise<T> =>
  json<T>(await ask("PUT", path, { ...options, body }));
export const remove = async (path: string, query?: Query): Promise<void> => {
  await ask("DELETE", path, { query });
};

/** A request as a line for a shell. Single quotes, so that nothing in it means anything to a shell. */
export function curl({ method, path, body }: Asked): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const parts = ["curl", "-fsS"];
  if (method !== "GET") parts.push("-X", method);
  parts.push("-H", '"Authorization: Bearer $NIGHTJAR_TOKEN"');
  if (body !== undefined) parts.push("-H", quoted("Content-Type: application/json"), "--data-raw", quoted(body));
  parts.push(quoted(new URL(path, root).href));
  return parts.join(" ");
}
