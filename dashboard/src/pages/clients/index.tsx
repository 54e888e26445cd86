import { useState } from "preact/hooks";
import { piece, post, remove } from "../../api/client";
import type { ClientRow } from "../../api/types";
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

export const version = (proto: ClientRow["proto_ver"]): string => ({ "3": "3.1", "4": "3.1.1", "5": "5.0" })[String(proto ?? "")] ?? String(proto ?? "–");

const COLUMNS: Column<ClientRow>[] = [
  { title: "Client", sort: "clientid", wide: true, cell: (row) => <a class="mono" href={to(`/clients/${piece(row.clientid)}`)}><Text v={row.clientid} /></a> },
  { title: "State", cell: (row) => <Dot tone={row.connected ? "good" : "plain"} label={row.connected ? "connected" : "away"} /> },
  { title: "User", optional: true, cell: (row) => <Text v={row.username} /> },
  { title: "Address", optional: true, cell: (row) => <Text mono v={row.ip_address && row.port ? `${row.ip_address}:${row.port}` : row.ip_address} /> },
  { title: "Listener", optional: true, cell: (row) => <Text v={row.listener} /> },
  { title: "Transport", optional: true, cell: (row) => (row.transport ? <Badge><Text v={row.transport} /></Badge> : <Text v={null} />) },
  { title: "MQTT", optional: true, cell: (row) => version(row.proto_ver) },
  { title: "Since", sort: "connected_at", optional: true, cell: (row) => <span title={time(row.connected ? row.connected_at : row.disconnected_at)}>{ago(row.connected ? row.connected_at : row.disconnected_at)}</span> },
  { title: "Subs", optional: true, end: true, cell: (row) => number(row.subscriptions_cnt) },
  { title: "Queue", sort: "mqueue_len", optional: true, end: true, cell: (row) => <span class={row.mqueue_len ? "strong" : "none"}>{short(row.mqueue_len)}</span> },
  { title: "Inflight", optional: true, end: true, cell: (row) => number(row.inflight_cnt) },
  { title: "Dropped", sort: "mqueue_dropped", optional: true, end: true, cell: (row) => <span class={row.mqueue_dropped ? "warn-text" : "none"}>{short(row.mqueue_dropped)}</span> },
  { title: "In", sort: "recv_msg", optional: true, end: true, cell: (row) => short(row.recv_msg) },
  { title: "Out", sort: "send_msg", optional: true, end: true, cell: (row) => short(row.send_msg) },
  { title: "Bytes in", optional: true, end: true, cell: (row) => bytes(row.recv_oct) },
  { title: "Bytes out", optional: true, end: true, cell: (row) => bytes(row.send_oct) },
];
const HIDDEN = ["Listener", "Subs", "Inflight", "Bytes in", "Bytes out"];

function View() {
  const filters = useFilters(["like_clientid", "like_username", "ip_address", "conn_state", "proto_ver"]);
  const listing = useList<ClientRow>("clients", filters, 5000);
  const [columns, chooser] = useColumns("clients", COLUMNS, HIDDEN);
  const [chosen, setChosen] = useState(new Set<string>());
  const [banning, setBanning] = useState(false);
  const set = (name: string) => (value: string) => setQuery({ [name]: value, page: undefined });
  const kick = () =>
    confirm({
      title: `Disconnect ${plural(chosen.size, "client")}?`,
      words: "Their sessions end too, with what waits for them. They may connect again at once.",
      action: "Disconnect",
      done: "Disconnected",
      act: async () => {
        await (chosen.size === 1 ? remove(`clients/${piece([...chosen][0] ?? "")}`) : post("clients/kickout/bulk", [...chosen]));
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
