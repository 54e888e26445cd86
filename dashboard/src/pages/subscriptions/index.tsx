import { useState } from "preact/hooks";
import { get, piece, post } from "../../api/client";
import type { Matched, Rows, SharedGroup, SubscriptionRow } from "../../api/types";
import { number, plural } from "../../lib/format";
import type { Page } from "../../pages";
import { place, setQuery, to } from "../../router";
import { Button } from "../../ui/button";
import { Filters, Input, Search, Select, Tabs } from "../../ui/form";
import { Badge, Card, Dot, Head } from "../../ui/layout";
import { List, useFilters, useList } from "../../ui/list";
import { useLoad } from "../../ui/load";
import { Empty, Failure, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";

export const ClientLink = ({ id }: { id: string | null | undefined }) =>
  id ? (
    <a href={to(`/clients/${piece(id)}`)}>
      <Text mono v={id} />
    </a>
  ) : (
    <Text v={null} />
  );

function View() {
  const tab = place.value.query.get("tab") ?? "all";
  return (
    <>
      <Head title="Subscriptions" hint="Who wants what." />
      <div class="page-tabs">
        <Tabs
          label="Parts"
          value={tab}
          onChange={(key) => setQuery({ tab: key === "all" ? undefined : key, page: undefined })}
          tabs={[
            ["all", "All"],
            ["groups", "Shared groups"],
            ["match", "Who gets topic X?"],
          ]}
        />
      </div>
      {tab === "groups" ? <Groups /> : tab === "match" ? <Match /> : <All />}
    </>
  );
}

function All() {
  const filters = useFilters(["match_topic", "topic", "clientid", "share_group", "qos"]);
  const listing = useList<SubscriptionRow>("subscriptions", filters);
  const set = (name: string) => (value: string) => setQuery({ [name]: value, page: undefined });
  return (
    <>
      <Filters>
        <Search main label="Filter, exactly" value={filters["topic"] ?? ""} onSearch={set("topic")} />
        <Search label="Filters that match a topic" value={filters["match_topic"] ?? ""} onSearch={set("match_topic")} />
        <Search label="Client id" value={filters["clientid"] ?? ""} onSearch={set("clientid")} />
        <Search label="Group" value={filters["share_group"] ?? ""} onSearch={set("share_group")} />
        <Select hideLabel label="QoS" value={filters["qos"] ?? ""} onChange={set("qos")} options={[["", "Any QoS"], ["0", "QoS 0"], ["1", "QoS 1"], ["2", "QoS 2"]]} />
      </Filters>
      <Card flush>
        <List
          of={listing}
          label="Subscriptions"
          id={(row) => `${row.clientid} ${row.share ?? ""} ${row.topic}`}
          empty={{ icon: "subscriptions", title: "No subscriptions" }}
          columns={[
            { title: "Filter", wide: true, cell: (row) => <Text mono v={row.topic} /> },
            { title: "Client", cell: (row) => <ClientLink id={row.clientid} /> },
            { title: "Group", cell: (row) => <Text v={row.share} /> },
            { title: "QoS", cell: (row) => row.qos },
            {
              title: "Options",
              cell: (row) => (
                <span class="row">
                  {row.nl ? <Badge>no local</Badge> : null}
                  {row.rap ? <Badge>as published</Badge> : null}
                  {row.rh ? <Badge>retain handling {row.rh}</Badge> : null}
                </span>
              ),
            },
          ]}
        />
      </Card>
    </>
  );
}

function Groups() {
  const loaded = useLoad<Rows<SharedGroup>>((signal) => get("shared_groups", { limit: 100 }, { signal }), [], { every: 3000 });
  return (
    <Shown of={loaded}>
      {({ data }) =>
        data.length === 0 ? (
          <Card>
            <Empty icon="people" title="No shared groups">
              A client makes one by subscribing to $share/name/filter.
            </Empty>
          </Card>
        ) : (
          <div class="stack">
            {data.slice(0, 100).map((group) => (
              <Card
                key={`${group.group} ${group.topic}`}
                flush
                title={
                  <span class="row">
                    <Badge tone="info">
                      <Text v={group.group} />
                    </Badge>
                    <Text mono v={group.topic} />
                  </span>
                }
                aside={plural(group.members.length, "member")}
              >
                <Table
                  label="Members"
                  rows={group.members.slice(0, 100)}
                  id={(row) => row.clientid}
                  columns={[
                    { title: "Member", wide: true, cell: (row) => <ClientLink id={row.clientid} /> },
                    { title: "State", cell: (row) => <Dot tone={row.connected ? "good" : "plain"} label={row.connected ? "connected" : "away"} /> },
                    { title: "Inflight", end: true, cell: (row) => number(row.inflight) },
                    { title: "Waiting", end: true, cell: (row) => number(row.queued) },
                  ]}
                />
              </Card>
            ))}
          </div>
        )
      }
    </Shown>
  );
}

function Match() {
  const [topic, setTopic] = useState(place.value.query.get("topic") ?? "");
  const [from, setFrom] = useState("");
  const [found, setFound] = useState<Matched>();
  const [error, setError] = useState<Error>();
  const ask = async (event: Event) => {
    event.preventDefault();
    setQuery({ topic });
    try {
      setFound(await post<Matched>("subscriptions/match", { topic, ...(from ? { from } : {}) }));
      setError(undefined);
    } catch (caught) {
      setError(caught as Error);
    }
  };
  return (
    <div class="stack">
      <Card>
        <form class="form" onSubmit={ask}>
          <div class="form-row">
            <Input label="Topic" mono value={topic} onInput={setTopic} required autoFocus placeholder="plant/7/temperature" />
            <Input label="Published by (optional)" mono value={from} onInput={setFrom} placeholder="client id" />
            <div>
              <Button submit kind="primary" icon="search">
                Who gets it?
              </Button>
            </div>
          </div>
        </form>
      </Card>
      {error && <Card><Failure error={error} /></Card>}
      {found && !error && (
        <Card flush title={found.count ? plural(found.count, "receiver") : "Nobody"} aside={found.truncated ? "only the first are shown" : undefined}>
          {found.receivers.length ? (
            <Table
              label="Receivers"
              rows={found.receivers.slice(0, 500)}
              id={(row) => `${row.clientid} ${row.group ?? ""} ${row.filter}`}
              columns={[
                { title: "Client", wide: true, cell: (row) => <ClientLink id={row.clientid} /> },
                { title: "State", cell: (row) => (row.denied ? <Dot tone="bad" label="denied by a rule" /> : <Dot tone={row.online ? "good" : "plain"} label={row.online ? "connected" : "away"} />) },
                { title: "By filter", cell: (row) => <Text mono v={row.filter} /> },
                { title: "QoS", cell: (row) => row.qos },
                { title: "Group", cell: (row) => (row.group ? <Badge tone="info"><Text v={row.group} /></Badge> : <Text v={null} />) },
              ]}
            />
          ) : (
            <Empty icon="subscriptions" title="Nobody gets it">
              No subscription matches this topic.
            </Empty>
          )}
        </Card>
      )}
    </div>
  );
}

export const page: Page = { path: "/subscriptions", title: "Subscriptions", icon: "subscriptions", section: "Observe", order: 3, key: "s", view: View };
