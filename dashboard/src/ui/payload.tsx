import { useMemo, useState } from "preact/hooks";
import { bytes as size } from "../lib/format";
import { bestView, fromBase64, shown, type View } from "../lib/payload";
import { Button } from "./button";
import { Tabs } from "./form";
import { Text } from "./text";
import { copy } from "./toast";

const VIEWS: [View, string][] = [
  ["json", "JSON"],
  ["text", "Text"],
  ["hex", "Hex"],
  ["cbor", "CBOR"],
  ["sparkplug", "Sparkplug"],
];

interface Props {
  /** Base64, as the API has it. */
  payload: string | null | undefined;
  topic: string;
  /** How long it is, where the API gives its beginning only. */
  full?: number | undefined;
}

/** Many lines of text, in one box. */
export const Lines = ({ text }: { text: string }) => (
  <pre class="lines" tabIndex={0}>
    {text.split("\n").map((line, at) => (
      <div key={at}>{line === "" ? " " : <Text v={line} />}</div>
    ))}
  </pre>
);

export function Payload({ payload, topic, full }: Props) {
  const bytes = useMemo(() => (payload === null || payload === undefined ? null : fromBase64(payload)), [payload]);
  const best = useMemo(() => (bytes ? bestView(bytes, topic) : "text"), [bytes, topic]);
  const [view, setView] = useState<View>();
  if (!bytes) return <p class="hint">The payload is not shown to your role.</p>;
  const now = view ?? best;
  const text = shown(bytes, now);
  return (
    <div class="payload">
      <div class="payload-head">
        <Tabs label="View" tabs={VIEWS} value={now} onChange={(key) => setView(key as View)} />
        <span class="grow" />
        <span class="hint">
          {size(full ?? bytes.length)}
          {full !== undefined && full > bytes.length && <>, its first {size(bytes.length)}</>}
        </span>
        <Button icon="copy" kind="quiet" small title="Copy" onClick={() => void copy(text)} />
      </div>
      {bytes.length === 0 ? <p class="hint">Empty.</p> : <Lines text={text} />}
    </div>
  );
}
