// The figures that each page's frame shows, and the overview draws: as the server sends them, or
// asked for every few seconds where it does not.

import { signal } from "@preact/signals";
import { ApiError, ask, get } from "../api/client";
import type { Overview, Status } from "../api/types";

export interface Live {
  at: number;
  overview: Overview;
}

/** The newest figures, at most five minutes of them. */
export const live = signal<Live[]>([]);
/** What can be said where the server has no overview. */
export const status = signal<Status | null>(null);
/** Counts what the server says of alarms, so that pages look again. */
export const alarms = signal(0);
/** Whether the server answers. */
export const reached = signal(true);

const MOST = 300;
const POLL = 2000;
const LONGEST_EVENT = 64 * 1024;

function add(overview: Overview): void {
  live.value = [...live.peek(), { at: Date.now(), overview }].slice(-MOST);
}

/** Follows the server until it is told to stop. */
export function follow(): () => void {
  const stop = new AbortController();
  live.value = [];
  void run(stop.signal);
  return () => stop.abort();
}

async function run(signal: AbortSignal): Promise<void> {
  let streams = true;
  while (!signal.aborted) {
    try {
      if (streams) await stream(signal);
      else await poll(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) {
        reached.value = true;
        if (error.status === 401) return;
        if (error.notOffered || error.status === 404) {
          if (!streams) return statusOnly(signal);
          streams = false;
          continue;
        }
        // As many follow as the server bears: then it is asked.
        if (streams && error.status === 503) {
          streams = false;
          continue;
        }
      } else reached.value = false;
      await pause(POLL, signal);
    }
  }
}

async function poll(signal: AbortSignal): Promise<void> {
  for (;;) {
    if (!document.hidden) {
      add(await get<Overview>("overview", undefined, { signal, quiet: true }));
      reached.value = true;
    }
    await pause(POLL, signal);
    if (signal.aborted) return;
  }
}

/** A server without an overview still says what runs. */
async function statusOnly(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      status.value = await get<Status>("status", undefined, { signal, quiet: true });
      reached.value = true;
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && error.status === 401)) return;
      reached.value = error instanceof ApiError;
    }
    await pause(POLL * 2, signal);
  }
}

async function stream(signal: AbortSignal): Promise<void> {
  const response = await ask("GET", "events", { signal, quiet: true });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  reached.value = true;
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    rest += value;
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      event(rest.slice(0, end));
      rest = rest.slice(end + 2);
    }
    if (rest.length > LONGEST_EVENT) throw new Error("an event is too long");
  }
  // It ended: the server may be on its way down.
  await pause(POLL, signal);
}

function event(text: string): void {
  let name = "message";
  const data: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  if (name === "overview" && data.length) add(JSON.parse(data.join("\n")) as Overview);
  else if (name === "alarm") alarms.value += 1;
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
