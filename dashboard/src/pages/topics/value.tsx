import { useMemo, useState } from "preact/hooks";
import { get } from "../../api/client";
import type { LastValue, TopicValue } from "../../api/types";
import { diff, hunks } from "../../lib/diff";
import { ago, bytes, time } from "../../lib/format";
import { bestView, fromBase64, numbers, shown } from "../../lib/payload";
import { to } from "../../router";
import { Chart } from "../../ui/chart";
import { Select, Tabs } from "../../ui/form";
import { Badge, Card, Facts } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Payload } from "../../ui/payload";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";

/** A topic: its last value, what it was before, and how its numbers went. */
export function Value({ topic }: { topic: string }) {
  const loaded = useLoad<LastValue>((signal) => get("topics/last", { topic }, { signal }), [topic], { every: 2000 });
  const [tab, setTab] = useState("value");
  return (
    <Card
      title={<Text mono v={topic} />}
      aside={
        <a class="link" href={to("/subscriptions", { tab: "match", topic })}>
          Who gets it?
        </a>
      }
    >
      <Shown of={loaded}>
        {(value) => {
          const history = value.history ?? [];
          return (
            <div class="stack">
              <Tabs
                label="What to show"
                value={tab}
                onChange={setTab}
                tabs={[
                  ["value", "Value"],
                  ["diff", "Difference"],
                  ["history", `History (${history.length})`],
                  ["chart", "Chart"],
                ]}
              />
              {tab === "value" && <Last value={value} topic={topic} />}
              {tab === "diff" && <Difference value={value} history={history} topic={topic} />}
              {tab === "history" && <History history={history} topic={topic} />}
              {tab === "chart" && <Numbers history={[value, ...history]} />}
            </div>
          );
        }}
      </Shown>
    </Card>
  );
}

function Last({ value, topic }: { value: LastValue; topic: string }) {
  const properties = Object.entries(value.properties ?? {}).filter(([, inner]) => inner !== null && inner !== undefined);
  return (
    <div class="stack">
      <span class="row">
        <Badge>QoS {value.qos}</Badge>
        {value.retain && <Badge tone="info">retained</Badge>}
        {value.truncated && <Badge tone="warn">its beginning only</Badge>}
        <span class="hint">
          {bytes(value.size)} · {ago(value.at)} · {time(value.at)}
        </span>
      </span>
      <Payload payload={value.payload} topic={topic} full={value.size} />
      {properties.length > 0 && <Facts of={properties.map(([name, inner]) => [name.replaceAll("_", " "), <Text mono v={typeof inner === "string" ? inner : JSON.stringify(inner)} />])} />}
    </div>
  );
}

/** A payload as lines: what is JSON is set so that its parts stand below one another. */
const lines = (value: TopicValue, topic: string): string => {
  const raw = fromBase64(value.payload);
  return shown(raw, bestView(raw, topic));
};

/** Entries of the history that are not the last value itself. */
const before = (value: TopicValue, history: TopicValue[]): TopicValue[] => history.filter((one) => one.at !== value.at || one.payload !== value.payload);

function Difference({ value, history, topic }: { value: LastValue; history: TopicValue[]; topic: string }) {
  const former = before(value, history);
  const [at, setAt] = useState("0");
  const other = former[Number(at)] ?? former[0];
  if (!other) return <Empty title="There is nothing before it" />;
  const found = hunks(diff(lines(other, topic), lines(value, topic)));
  return (
    <div class="stack">
      <Select label="Compared with" value={at} onChange={setAt} options={former.slice(0, 20).map((one, n) => [String(n), `${time(one.at)}, ${bytes(one.size)}`])} />
      {found.length ? <Difflines of={found} /> : <p class="hint">They are the same.</p>}
    </div>
  );
}

export function Difflines({ of }: { of: ReturnType<typeof hunks> }) {
  const marks = { same: "  ", gone: "− ", new: "+ " };
  return (
    <pre class="lines" tabIndex={0}>
      {of.map((line, at) =>
        line ? (
          <div key={at} class={`diff-${line.kind}`}>
            {marks[line.kind]}
            {line.text === "" ? " " : <Text v={line.text} />}
          </div>
        ) : (
          <div key={at} class="diff-skip">
            ⋯
          </div>
        ),
      )}
    </pre>
  );
}

function History({ history, topic }: { history: TopicValue[]; topic: string }) {
  if (!history.length) return <Empty title="No history yet" />;
  return (
    <Table
      label="History"
      rows={history.slice(0, 20).map((one, at) => ({ ...one, n: at }))}
      id={(row) => String(row.n)}
      columns={[
        { title: "When", cell: (row) => time(row.at) },
        { title: "Value", wide: true, cell: (row) => <Text mono v={lines(row, topic).replace(/\s+/g, " ").slice(0, 120)} /> },
        { title: "Size", end: true, cell: (row) => bytes(row.size) },
      ]}
    />
  );
}

const COLORS = ["--teal", "--blue", "--amber", "--violet", "--red"];

function Numbers({ history }: { history: TopicValue[] }) {
  const { times, curves } = useMemo(() => {
    const seen = new Map(history.map((one) => [`${one.at} ${one.payload}`, one]));
    const sorted = [...seen.values()].flatMap((one) => (one.at ? [{ ...one, at: one.at }] : [])).sort((a, b) => a.at.localeCompare(b.at));
    const rows = sorted.map((one) => numbers(fromBase64(one.payload)));
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].slice(0, COLORS.length);
    return {
      times: sorted.map((one) => new Date(one.at).getTime() / 1000),
      curves: names.map((label, at) => ({ label, color: COLORS[at] ?? "--blue", values: rows.map((row) => row[label]) })),
    };
  }, [history]);
  if (!curves.length || times.length < 2) return <Empty title="No numbers">A curve needs two values with numbers in them.</Empty>;
  return (
    <div class="stack">
      {curves.map((curve) => (
        <Chart key={curve.label} label={curve.label} height={130} times={times} curves={[curve]} format={(n) => String(Number(n.toPrecision(4)))} />
      ))}
    </div>
  );
}
