// A lazy tree: one level is asked for when it is opened, in pieces, and asked for again while open.

import { useEffect, useState } from "preact/hooks";
import { get } from "../../api/client";
import type { Rows, TopicNode } from "../../api/types";
import { rate, short } from "../../lib/format";
import { Button } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { useLoad } from "../../ui/load";
import { Empty, Failure, Skeleton } from "../../ui/states";
import { Text } from "../../ui/text";

const LIMIT = 100;
const DEEPEST = 24;

interface Props {
  chosen: string;
  onChoose: (topic: string) => void;
}

export function Tree({ chosen, onChoose }: Props) {
  const move = (event: KeyboardEvent) => {
    const all = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>(".tree-row")];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const here = all[at];
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) all[at + step]?.focus();
    else if (event.key === "ArrowRight" && here?.getAttribute("aria-expanded") === "false") here.querySelector<HTMLElement>(".tree-turn")?.click();
    else if (event.key === "ArrowLeft" && here?.getAttribute("aria-expanded") === "true") here.querySelector<HTMLElement>(".tree-turn")?.click();
    else return;
    event.preventDefault();
  };
  return (
    <div class="tree" role="tree" aria-label="Topics" onKeyDown={move}>
      <Level under="" depth={0} chosen={chosen} onChoose={onChoose} />
    </div>
  );
}

function Level({ under, depth, chosen, onChoose }: Props & { under: string; depth: number }) {
  const [pages, setPages] = useState<string[]>([]);
  const from = pages.at(-1);
  const loaded = useLoad<Rows<TopicNode>>((signal) => get("topics", { under, limit: LIMIT, after: from }, { signal, quiet: depth > 0 }), [under, from], { every: 3000 });
  if (!loaded.value) {
    if (!loaded.error) return <Skeleton lines={3} />;
    return <Failure error={loaded.error} retry={loaded.reload} />;
  }
  const { data, meta } = loaded.value;
  if (!data.length && depth === 0 && !from) return <Empty icon="topics" title="No topics yet">Nothing was published since the server started.</Empty>;
  return (
    <>
      {data.slice(0, LIMIT).map((node) => (
        <Node key={node.topic} node={node} depth={depth} chosen={chosen} onChoose={onChoose} />
      ))}
      {(meta.after || pages.length > 0) && (
        <div class={`pager depth-${Math.min(depth, 12)}`}>
          <span>{LIMIT} of more</span>
          <Button icon="left" small title="Before" disabled={!pages.length} onClick={() => setPages(pages.slice(0, -1))} />
          <Button icon="right" small title="After" disabled={!meta.after} onClick={() => setPages([...pages, meta.after ?? ""])} />
        </div>
      )}
      {meta.sampled && depth === 0 && <p class="card-note hint">There are more topics than the server keeps figures of; some are missing.</p>}
    </>
  );
}

function Node({ node, depth, chosen, onChoose }: Props & { node: TopicNode; depth: number }) {
  const leads = chosen.startsWith(`${node.topic}/`);
  const [open, setOpen] = useState(leads);
  useEffect(() => {
    if (leads) setOpen(true);
  }, [chosen]);
  const opens = node.children > 0 && depth < DEEPEST;
  return (
    <>
      <div
        class={`tree-row depth-${Math.min(depth, 12)}`}
        role="treeitem"
        tabIndex={0}
        aria-selected={chosen === node.topic}
        aria-expanded={opens ? open : undefined}
        aria-level={depth + 1}
        onClick={() => {
          onChoose(node.topic);
          if (opens && !open) setOpen(true);
        }}
        onKeyDown={(event) => event.key === "Enter" && onChoose(node.topic)}
      >
        <span
          class="tree-turn"
          onClick={(event) => {
            event.stopPropagation();
            if (opens) setOpen(!open);
          }}
        >
          {opens && <Icon name={open ? "down" : "right"} size={13} />}
        </span>
        <span class="tree-name">
          {node.name === "" ? <span class="none">(empty level)</span> : <Text mono v={node.name} />}
        </span>
        {node.retained && (
          <span title="A message is retained" class="accent-text">
            <Icon name="retained" size={12} />
          </span>
        )}
        <span class="tree-figure">
          {node.children > 0 && <>{short(node.children)} below · </>}
          {short(node.messages)} · <b>{rate(node.rate)}/s</b>
        </span>
      </div>
      {open && opens && (
        <div role="group">
          <Level under={node.topic} depth={depth + 1} chosen={chosen} onChoose={onChoose} />
        </div>
      )}
    </>
  );
}
