// The end of a trace as it grows. The browser keeps its last lines only.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, ask, piece } from "../../api/client";
import { save } from "../../lib/save";
import { Button } from "../../ui/button";
import { Card } from "../../ui/layout";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";

const LINES = 1000;
const PIECE = 64 * 1024;

interface Piece {
  items: string;
  meta: { position: number };
}

/** `size` bytes of the trace are there already: of these, only the last piece is asked for. */
export function Tail({ name, size }: { name: string; size: number }) {
  const [lines, setLines] = useState<string[]>([]);
  const [error, setError] = useState<string>();
  const [follow, setFollow] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  const path = `trace/${piece(name)}`;

  useEffect(() => {
    const stop = new AbortController();
    let position = Math.max(0, size - PIECE);
    let rest = "";
    // Where it begins inside a line, what is left of that is not shown.
    let inside = position > 0;
    const turn = async () => {
      try {
        const response = await ask("GET", `${path}/log`, { query: { position, bytes: PIECE }, signal: stop.signal });
        const found = (await response.json()) as Piece;
        position = found.meta.position;
        const all = (rest + found.items).split("\n");
        rest = all.pop() ?? "";
        if (inside && all.length) {
          all.shift();
          inside = false;
        }
        if (all.length) setLines((before) => [...before, ...all].slice(-LINES));
        setError(undefined);
      } catch (caught) {
        if (stop.signal.aborted) return;
        setError(caught instanceof Error ? caught.message : String(caught));
        if (caught instanceof ApiError && caught.status < 500) return;
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void turn(), 1000) as unknown as number;
    };
    let timer = 0;
    void turn();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [name]);

  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, follow]);

  const download = () =>
    void attempt(async () => {
      const response = await ask("GET", `${path}/download`);
      save(`${name}.log`, await response.blob());
    }, "Downloaded");

  const aside = (
    <>
      <Button icon="down" small pressed={follow} onClick={() => setFollow(!follow)}>
        Follow
      </Button>
      <Button icon="backup" small onClick={download}>
        Download
      </Button>
    </>
  );
  return (
    <Card title={<Text mono v={name} />} aside={aside}>
      {error && (
        <p class="form-error" role="alert">
          <Text v={error} />
        </p>
      )}
      <pre ref={box} class="lines tail" tabIndex={0}>
        {lines.length ? lines.map((line, at) => <div key={at}>{line ? <Text v={line} /> : " "}</div>) : <span class="none">Nothing yet.</span>}
      </pre>
    </Card>
  );
}
