// Text that comes from the server. There is no other way that such text gets into a page.

import { parts, plain } from "../lib/inert";

interface Props {
  v: string | number | null | undefined;
  /** Letters of one width: names, topics, addresses. */
  mono?: boolean;
  class?: string;
}

const LONG = 24;

export function Text({ v, mono, class: extra }: Props) {
  const classes = [mono ? "mono" : "", extra ?? ""].join(" ").trim() || undefined;
  if (v === null || v === undefined || v === "") return <span class={`none ${classes ?? ""}`}>–</span>;
  const text = String(v);
  const pieces = parts(text);
  return (
    // Tables cut what is long: then it is still to be had.
    <bdi class={classes} title={text.length > LONG ? plain(text).slice(0, 1000) : undefined}>
      {pieces.map((part) => (part.escaped ? <span class="escaped">{part.text}</span> : part.text))}
    </bdi>
  );
}

export const Mono = ({ v }: { v: Props["v"] }) => <Text v={v} mono />;
