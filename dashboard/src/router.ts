// The address after "#": it needs nothing of the server, so the dashboard works under any path.

import { signal } from "@preact/signals";

export interface Place {
  path: string;
  query: URLSearchParams;
}

function read(): Place {
  const hash = location.hash.replace(/^#/, "");
  const [path = "", query = ""] = split(hash);
  return { path: path || "/", query: new URLSearchParams(query) };
}

function split(hash: string): [string, string] {
  const at = hash.indexOf("?");
  return at < 0 ? [hash, ""] : [hash.slice(0, at), hash.slice(at + 1)];
}

export const place = signal<Place>(read());
addEventListener("hashchange", () => {
  place.value = read();
});

/** The address of a page, for links. */
export function to(path: string, query: Record<string, string | undefined> = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value) params.set(key, value);
  const text = params.toString();
  return `#${path}${text ? `?${text}` : ""}`;
}

export function go(path: string, query: Record<string, string | undefined> = {}): void {
  location.hash = to(path, query);
}

/** Changes the query and nothing else. It replaces the entry of the history: a filter is typed
 * letter by letter. */
export function setQuery(change: Record<string, string | undefined>): void {
  const params = new URLSearchParams(place.peek().query);
  for (const [key, value] of Object.entries(change)) {
    if (value) params.set(key, value);
    else params.delete(key);
  }
  const text = params.toString();
  history.replaceState(null, "", `#${place.peek().path}${text ? `?${text}` : ""}`);
  place.value = read();
}

/** The rest of a path after a pattern like `/clients/:id`, decoded, or null. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const have = path.split("/");
  if (wanted.length !== have.length) return null;
  const found: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const value = have[at] ?? "";
    if (part.startsWith(":")) {
      try {
        found[part.slice(1)] = decodeURIComponent(value);
      } catch {
        return null;
      }
    } else if (part !== value) return null;
  }
  return found;
}
