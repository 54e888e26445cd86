/** What the test client remembers between visits. No password. */
export interface Saved {
  url: string;
  clientid: string;
  username: string;
  version: string;
  filter: string;
  topic: string;
}

const KEY = "nightjar.test-client";
const FIRST: Saved = { url: "", clientid: "", username: "", version: "5", filter: "#", topic: "hello/world" };

export function remembered(): Saved {
  try {
    const text = localStorage.getItem(KEY);
    return { ...FIRST, ...(text ? (JSON.parse(text) as Partial<Saved>) : {}) };
  } catch {
    return FIRST;
  }
}

export function remember(saved: Saved): void {
  localStorage.setItem(KEY, JSON.stringify(saved));
}

export function forget(): void {
  localStorage.removeItem(KEY);
}
