import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { piece, post } from "../../api/client";
import type { Client } from "../../api/types";
import { ago, bytes, number, plural, short, time } from "../../lib/format";
import type { Page } from "../../pages";
import { setQuery, to } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm } from "../../ui/dialog";
import { Filters, Search, Select } from "../../ui/form";
import { Badge, Card, Dot, Head } from "../../ui/layout";
import { List, useColumns, useFilters, useList } from "../../ui/list";
import type { Column } from "../../ui/table";
import { Text } from "../../ui/text";
import { told } from "../../ui/toast";
import { BanDialog } from "../bans/dialog";
import { csv } from "./csv";

export const version = (proto: Client["proto_ver"]): string => ({ "3": "3.1", "4": "3.1.1", "5": "5.0" })[String(proto ?? "")] ?? String(proto ?? "–");

const since = (row: Client) => (row.connected ? row.connected_at : row.disconnected_at);
/** A column of numbers, that is one if the server has the number. */
const figure = (title: string, of: (row: Client) => number | undefined | null, show: (n: number) => ComponentChildren, sort?: string): Column<Client> => ({
  title,
  optional: true,
  end: true,
  known: (row) => of(row) !== undefined,
  cell: (row) => {
    const n = of(row);
    return n === undefined || n === null ? "–" : show(n);
  },
  ...(sort ? { sort } : {}),
});
const quiet = (n: number) => <span class={n ? "strong" : "none"}>{short(n)}</span>;
const alert = (n: number) => <span class={n ? "warn-text" : "none"}>{short(n)}</span>;

const COLUMNS: Column<Client>[] = [
  { title: "Client", sort: "clientid", wide: true, cell: (row) => <a class="mono" href={to(`/clients/${piece(row.clientid)}`)}><Text v={row.clientid} /></a> },
  { title: "State", cell: (row) => <Dot tone={row.connected ? "good" : "plain"} label={row.connected ? "connected" : "away"} /> },
  { title: "User", optional: true, cell: (row) => <Text v={row.username} /> },
  { title: "Address", optional: true, cell: (row) => <Text mono v={row.peer} /> },
  { title: "Listener", optional: true, cell: (row) => <Text v={row.listener} /> },
  { title: "Transport", optional: true, known: (row) => row.transport !== undefined, cell: (row) => (row.transport ? <Badge><Text v={row.transport} /></Badge> : <Text v={null} />) },
  { title: "MQTT", optional: true, cell: (row) => version(row.proto_ver) },
  { title: "Since", sort: "connected_at", optional: true, cell: (row) => <span title={time(since(row))}>{ago(since(row))}</span> },
  figure("Subs", (row) => row.subscriptions_count, number),
  figure("Queue", (row) => row.mqueue_len ?? row.queued, quiet, "mqueue_len"),
  figure("Inflight", (row) => row.inflight_cnt ?? row.inflight, quiet),
  figure("Dropped", (row) => row.mqueue_dropped, alert, "mqueue_dropped"),
  figure("In", (row) => row.recv_msg, short, "recv_msg"),
  figure("Out", (row) => row.send_msg, short, "send_msg"),
  figure("Bytes in", (row) => row.recv_oct, bytes),
  figure("Bytes out", (row) => row.send_oct, bytes),
];
const HIDDEN = ["Listener", "Subs", "Inflight", "Bytes in", "Bytes out"];
const FILTERS = ["like_clientid", "like_username", "proto_ver", "ip_address", "listener", "conn_state"];

function View() {
  const filters = useFilters(FILTERS);
  const listing = useList<Client>("clients", filters, 5000);
  const [columns, chooser] = useColumns("clients", COLUMNS, HIDDEN, listing.value?.data ?? []);
  const [chosen, setChosen] = useState(new Set<string>());
  const [banning, setBanning] = useState(false);
  const set = (name: string) => (value: string) => setQuery({ [name]: value, page: undefined });
  const kick = () =>
    confirm({
      title: `Disconnect ${plural(chosen.size, "client")}?`,
      words: "They may connect again at once.",
      action: "Disconnect",
      done: "Disconnected",
      act: async () => {
        // At most a page of them is chosen: fewer than one request takes.
        await post("clients/kickout/bulk", [...chosen]);
        setChosen(new Set());
        listing.reload();
      },
    });
  return (
    <>
      <Head title="Clients" hint="Who is connected, and who is away with a session.">
        <Button icon="backup" onClick={() => csv(listing.value?.data ?? [])} disabled={!listing.value?.data.length}>
          CSV
        </Button>
        {chooser}
      </Head>
      <Filters>
        <Search main label="Client id" value={filters["like_clientid"] ?? ""} onSearch={set("like_clientid")} />
        <Search label="User" value={filters["like_username"] ?? ""} onSearch={set("like_username")} />
        <Search label="IP address" value={filters["ip_address"] ?? ""} onSearch={set("ip_address")} />
        <Search label="Listener" value={filters["listener"] ?? ""} onSearch={set("listener")} />
        <Select hideLabel label="State" value={filters["conn_state"] ?? ""} onChange={set("conn_state")} options={[["", "Any state"], ["connected", "Connected"], ["disconnected", "Away"]]} />
        <Select hideLabel label="Version" value={filters["proto_ver"] ?? ""} onChange={set("proto_ver")} options={[["", "Any version"], ["5", "MQTT 5.0"], ["4", "MQTT 3.1.1"], ["3", "MQTT 3.1"]]} />
        {chosen.size > 0 && may("operator") && (
          <>
            <Button kind="danger" icon="out" onClick={kick}>
              Disconnect {number(chosen.size)}
            </Button>
            <Button icon="ban" onClick={() => setBanning(true)}>
              Ban {number(chosen.size)}
            </Button>
          </>
        )}
      </Filters>
      <Card flush>
        <List
          of={listing}
          columns={columns}
          id={(row) => row.clientid}
          href={(row) => to(`/clients/${piece(row.clientid)}`)}
          label="Clients"
          chosen={chosen}
          {...(may("operator") ? { onChoose: setChosen } : {})}
          empty={{ icon: "clients", title: "No clients", words: "Nobody is connected, or nobody is like what you look for." }}
        />
      </Card>
      {banning && (
        <BanDialog
          who={[...chosen]}
          onClose={() => setBanning(false)}
          onDone={() => {
            told(`Banned ${plural(chosen.size, "client")}`);
            setChosen(new Set());
            listing.reload();
          }}
        />
      )}
    </>
  );
}

export const page: Page = { path: "/clients", title: "Clients", icon: "clients", section: "Observe", order: 2, key: "c", view: View };
