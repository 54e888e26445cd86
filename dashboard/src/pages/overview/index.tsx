import { useMemo } from "preact/hooks";
import { ApiError, get } from "../../api/client";
import type { Overview, Sample } from "../../api/types";
import { bytes, duration, number, plural, rate, short } from "../../lib/format";
import type { Page } from "../../pages";
import { place, setQuery, to } from "../../router";
import { live, status } from "../../state/live";
import { Chart } from "../../ui/chart";
import { Tabs } from "../../ui/form";
import { Badge, Bar, Card, Facts, Head, Stat, type Tone } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown, Skeleton } from "../../ui/states";
import { Text } from "../../ui/text";
import { Alarms } from "./alarms";

const SPANS: Record<string, [string, number]> = {
  now: ["Live", 0],
  "1h": ["1 h", 3600],
  "24h": ["24 h", 86_400],
  "7d": ["7 d", 604_800],
};

function View() {
  const now = live.value.at(-1)?.overview;
  if (!now) return status.value ? <Bare /> : <Skeleton lines={12} />;
  return (
    <div class="stack">
      <Head
        title="Overview"
        hint={
          <>
            <Text v={now.node} /> · version <Text v={now.version} /> · up {duration(now.uptime_ms)}
          </>
        }
      />
      <Alarms />
      <Figures now={now} />
      <Curves />
      <div class="columns-2">
        <Machine now={now} />
        <Store now={now} />
      </div>
    </div>
  );
}

/** A server without the overview says at least this. */
function Bare() {
  const now = status.value;
  if (!now) return null;
  return (
    <div class="stack">
      <Head title="Overview" hint={<>version <Text v={now.version} /> · up {duration(now.uptime * 1000)}</>} />
      <div class="stats">
        <Stat label="Connections" value={number(now.connections)} href={to("/clients")} />
        <Stat label="Sessions" value={number(now.sessions)} />
        <Stat label="Workers" value={number(now.workers)} />
        <Stat label="State" value={now.state} tone={now.state === "running" ? "good" : "warn"} />
      </div>
      <Card>
        <Empty title="No curves">This server does not offer figures over time.</Empty>
      </Card>
    </div>
  );
}

function Figures({ now }: { now: Overview }) {
  const away = Math.max(0, now.sessions - now.connections);
  return (
    <div class="stats">
      <Stat label="Connections" value={number(now.connections)} href={to("/clients", { conn_state: "connected" })} note={away ? `${short(away)} sessions away` : "nobody away"} />
      <Stat label="Messages in" value={`${rate(now.messages_in_per_s)}/s`} note={`${bytes(now.bytes_in_per_s)}/s`} />
      <Stat label="Messages out" value={`${rate(now.messages_out_per_s)}/s`} note={`${bytes(now.bytes_out_per_s)}/s`} />
      <Stat label="Dropped" value={`${rate(now.dropped_per_s)}/s`} tone={now.dropped_per_s > 0 ? "warn" : "plain"} href={to("/drops")} note="why, and whose" />
      <Stat label="Subscriptions" value={short(now.subscriptions)} href={to("/subscriptions")} note={`${short(now.shared_subscriptions)} shared`} />
      <Stat label="Topics" value={short(now.topics)} href={to("/topics")} />
      <Stat label="Retained" value={short(now.retained)} href={to("/retained")} />
    </div>
  );
}

function Curves() {
  const span = place.value.query.get("span") ?? "1h";
  const seconds = SPANS[span]?.[1] ?? 0;
  const tabs = <Tabs label="How far back" tabs={Object.entries(SPANS).map(([key, [words]]) => [key, words])} value={span} onChange={(key) => setQuery({ span: key === "1h" ? undefined : key })} />;
  return (
    <Card title="Traffic" aside={tabs}>
      {seconds ? <History seconds={seconds} /> : <Now />}
    </Card>
  );
}

/** What this page saw since it was opened. */
function Now() {
  const all = live.value;
  if (all.length < 2) return <Empty title="Watching">The curves begin in a moment.</Empty>;
  const of = (pick: (one: Overview) => number | null | undefined) => all.map(({ overview }) => pick(overview));
  return (
    <Panels
      times={all.map(({ at }) => at / 1000)}
      received={of((one) => one.messages_in_per_s)}
      sent={of((one) => one.messages_out_per_s)}
      dropped={of((one) => one.dropped_per_s)}
      connections={of((one) => one.connections)}
      cpu={of((one) => one.cpu_percent)}
      memory={of((one) => one.memory_bytes)}
    />
  );
}

function History({ seconds }: { seconds: number }) {
  const loaded = useLoad<Sample[]>((signal) => get("monitor", { latest: seconds }, { signal }), [seconds], { every: seconds > 3600 ? 60_000 : 5000 });
  // Where nothing is kept, what was seen here is better than nothing.
  if (loaded.error instanceof ApiError && loaded.error.notOffered) return <Now />;
  return <Shown of={loaded}>{(samples) => <Samples samples={samples} />}</Shown>;
}

function Samples({ samples }: { samples: Sample[] }) {
  const columns = useMemo(() => {
    const times = samples.map((one) => one.time_stamp / 1000);
    // Samples count what came since the one before; curves show rates.
    const perSecond = (pick: (one: Sample) => number) =>
      samples.map((one, at) => {
        const before = samples[at - 1] ?? samples[at + 1];
        const step = before ? Math.abs(one.time_stamp - before.time_stamp) / 1000 : 0;
        return step ? pick(one) / step : null;
      });
    return {
      times,
      received: perSecond((one) => one.received),
      sent: perSecond((one) => one.sent),
      dropped: perSecond((one) => one.dropped),
      connections: samples.map((one) => one.connections),
      cpu: samples.map((one) => one.cpu_percent),
      memory: samples.map((one) => one.memory_bytes),
    };
  }, [samples]);
  if (samples.length < 2) return <Empty title="Not yet">The server has kept figures for too short a time to draw them.</Empty>;
  return <Panels {...columns} />;
}

type Values = (number | null | undefined)[];
interface PanelsProps {
  times: number[];
  received: Values;
  sent: Values;
  dropped: Values;
  connections: Values;
  cpu: Values;
  memory: Values;
}

function Panels({ times, received, sent, dropped, connections, cpu, memory }: PanelsProps) {
  return (
    <div class="stack">
      <Chart
        label="Messages per second"
        height={210}
        times={times}
        format={rate}
        curves={[
          { label: "In/s", color: "--teal", values: received },
          { label: "Out/s", color: "--blue", values: sent },
          { label: "Dropped/s", color: "--red", values: dropped },
        ]}
      />
      <div class="columns-3">
        <Chart label="Connections" height={120} times={times} format={short} curves={[{ label: "Connections", color: "--amber", values: connections }]} />
        <Chart label="Processor" height={120} times={times} format={(n) => `${Math.round(n)} %`} curves={[{ label: "Processor", color: "--violet", values: cpu }]} />
        <Chart label="Memory" height={120} times={times} format={bytes} curves={[{ label: "Memory", color: "--blue", values: memory }]} />
      </div>
    </div>
  );
}

const load = (share: number): Tone => (share > 0.9 ? "bad" : share > 0.7 ? "warn" : "good");

function Machine({ now }: { now: Overview }) {
  const files = now.open_files && now.open_files_limit ? now.open_files / now.open_files_limit : 0;
  const disk = now.disk_bytes && now.disk_free_bytes ? now.disk_bytes / (now.disk_bytes + now.disk_free_bytes) : 0;
  return (
    <Card title="Machine">
      <div class="stack">
        <Facts
          of={[
            ["Processor", now.cpu_percent === undefined || now.cpu_percent === null ? null : `${now.cpu_percent.toFixed(0)} %`],
            ["Memory", bytes(now.memory_bytes)],
            ["Data on disk", <>{bytes(now.disk_bytes)}<Bar of={disk} tone={load(disk)} /></>],
            ["Free on disk", bytes(now.disk_free_bytes)],
            ["Open files", <>{number(now.open_files)} of {number(now.open_files_limit)}<Bar of={files} tone={load(files)} /></>],
          ]}
        />
        {now.workers && (
          <div class="facts">
            {now.workers.map((worker) => (
              <div key={worker.id}>
                <dt class="stat-label">
                  Worker {worker.id}: {plural(worker.connections, "connection")}
                </dt>
                {Math.round(worker.busy_percent)} % busy
                <Bar of={worker.busy_percent / 100} tone={load(worker.busy_percent / 100)} />
              </div>
            ))}
          </div>
        )}
      </div>
    </Card>
  );
}

function Store({ now: { store } }: { now: Overview }) {
  if (!store) return null;
  const well = store.state === "running" || store.state === "open" || store.state === "ok";
  return (
    <Card title="Store" aside={<Badge tone={well && !store.sync_failures ? "good" : "bad"}><Text v={store.state} /></Badge>}>
      <Facts
        of={[
          ["Class", store.class],
          ["Messages", number(store.messages)],
          ["Size", bytes(store.bytes)],
          ["Oldest message", duration(store.oldest_ms)],
          ["Commit, half of them", duration(store.commit_p50_us / 1000)],
          ["Commit, 99 of 100", duration(store.commit_p99_us / 1000)],
          ["Syncs", number(store.syncs)],
          ["Failed syncs", number(store.sync_failures)],
        ]}
      />
    </Card>
  );
}

export const page: Page = { path: "/", title: "Overview", icon: "overview", section: "Observe", order: 1, key: "o", view: View };
