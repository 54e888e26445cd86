// What a page shows comes from the server, again and again while it is looked at.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";

export interface Loaded<T> {
  value: T | undefined;
  error: ApiError | Error | undefined;
  busy: boolean;
  reload: () => void;
}

interface Options {
  /** Ask again after so many milliseconds, while the tab is seen. */
  every?: number;
}

/** Loads when `deps` change. The former value stays until there is another. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: unknown[], { every }: Options = {}): Loaded<T> {
  const [value, setValue] = useState<T>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(true);
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(() => setTurn((n) => n + 1), []);

  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const again = () => {
      if (every && !stop.signal.aborted) timer = setTimeout(run, every) as unknown as number;
    };
    const run = async () => {
      if (document.hidden && every) return again();
      setBusy(true);
      try {
        const found = await latest.current(stop.signal);
        if (stop.signal.aborted) return;
        setValue(() => found);
        setError(undefined);
        again();
      } catch (caught) {
        if (stop.signal.aborted) return;
        const failure = caught instanceof Error ? caught : new Error(String(caught));
        setError(failure);
        // What the server does not offer, it will not offer in a second.
        const final = failure instanceof ApiError && (failure.notOffered || failure.status === 403);
        if (!final) again();
      } finally {
        if (!stop.signal.aborted) setBusy(false);
      }
    };
    void run();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [...deps, turn]);

  return { value, error, busy, reload };
}
