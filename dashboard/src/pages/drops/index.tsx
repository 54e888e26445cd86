import { get, piece } from "../../api/client";
import type { Drops } from "../../api/types";
import { bytes, number, rate, short, time } from "../../lib/format";
import type { Page } from "../../pages";
import { to } from "../../router";
import { Badge, Bar, Card, Head } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { ClientLink } from "../subscriptions";

/** What can be done about a reason, where its name says it. */
const REMEDIES: [RegExp, string, string][] = [
  [/queue|full/i, "A client takes less than it gets.", "/slow"],
  [/deni|auth|permission/i, "A rule forbids it.", "/authorization?tab=denials"],
  [/expir/i, "It waited longer than it was worth.", "/clients?sort=-mqueue_len"],
  [/no_?subscriber|nobody/i, "Nobody wants it.", "/subscriptions?tab=match"],
];

function View() {
  const loaded = useLoad<Drops>((signal) => get("drops", undefined, { signal }), [], { every: 3000 });
  return (
    <>
      <Head title="Drops" hint="Each message that somebody did not get is counted here, by reason." />
      <Shown of={loaded} lines={10}>
        {(drops) => (
          <div class="stack">
            <Reasons drops={drops} />
            <div class="columns-2">
              <Card flush title="By client" aside="at most 100">
                {drops.by_client.length ? (
                  <Table
                    label="By client"
                    rows={drops.by_client.slice(0, 100)}
                    id={(row) => row.clientid}
                    href={(row) => to(`/clients/${piece(row.clientid)}`, { tab: "timeline" })}
                    columns={[
                      { title: "Client", wide: true, cell: (row) => <Text mono v={row.clientid} /> },
                      { title: "Mostly", cell: (row) => <Text v={row.reason} /> },
                      { title: "Dropped", end: true, cell: (row) => short(row.count) },
                    ]}
                  />
                ) : (
                  <Empty icon="check" title="None" />
                )}
              </Card>
              <Card flush title="By topic" aside="at most 100">
                {drops.by_topic.length ? (
                  <Table
                    label="By topic"
                    rows={drops.by_topic.slice(0, 100)}
                    id={(row) => row.topic}
                    href={(row) => to("/topics", { topic: row.topic })}
                    columns={[
                      { title: "Topic", wide: true, cell: (row) => <Text mono v={row.topic} /> },
                      { title: "Mostly", cell: (row) => <Text v={row.reason} /> },
                      { title: "Dropped", end: true, cell: (row) => short(row.count) },
                    ]}
                  />
                ) : (
                  <Empty icon="check" title="None" />
                )}
              </Card>
            </div>
            <Card flush title="Samples" aside="some of the newest">
              {drops.samples.length ? (
                <Table
                  label="Samples"
                  rows={drops.samples.slice(0, 200).map((row, at) => ({ ...row, n: at }))}
                  id={(row) => String(row.n)}
                  columns={[
                    { title: "When", cell: (row) => time(row.at) },
                    { title: "Reason", cell: (row) => <Badge tone="warn"><Text v={row.reason} /></Badge> },
                    { title: "Client", cell: (row) => <ClientLink id={row.clientid} /> },
                    { title: "Topic", wide: true, cell: (row) => <Text mono v={row.topic} /> },
                    { title: "QoS", cell: (row) => row.qos ?? "–" },
                    { title: "Size", end: true, cell: (row) => bytes(row.size) },
                    { title: "More", cell: (row) => <Text v={row.detail} /> },
                  ]}
                />
              ) : (
                <Empty icon="check" title="None" />
              )}
            </Card>
          </div>
        )}
      </Shown>
    </>
  );
}

function Reasons({ drops }: { drops: Drops }) {
  const most = Math.max(1, ...drops.by_reason.map((one) => one.count));
  return (
    <Card flush title="By reason" aside={`${number(drops.total)} since the server started`}>
      {drops.by_reason.length ? (
        <Table
          label="By reason"
          rows={[...drops.by_reason].sort((a, b) => b.count - a.count)}
          id={(row) => row.reason}
          columns={[
            { title: "Reason", cell: (row) => <Text v={row.reason.replaceAll("_", " ")} /> },
            { title: "Share", wide: true, cell: (row) => <Bar of={row.count / most} tone={row.rate > 0 ? "warn" : "info"} /> },
            { title: "Dropped", end: true, cell: (row) => number(row.count) },
            { title: "Now", end: true, cell: (row) => `${rate(row.rate)}/s` },
            {
              title: "What to do",
              cell: (row) => {
                const found = REMEDIES.find(([name]) => name.test(row.reason));
                return found ? <a href={`#${found[2]}`}>{found[1]}</a> : <Text v={null} />;
              },
            },
          ]}
        />
      ) : (
        <Empty icon="check" title="Nothing was dropped" />
      )}
    </Card>
  );
}

export const page: Page = { path: "/drops", title: "Drops", icon: "drops", section: "Diagnose", order: 1, key: "d", view: View };
