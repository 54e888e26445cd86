import { useState } from "preact/hooks";
import { get, piece, post, remove } from "../../api/client";
import type { Client } from "../../api/types";
import { ago, bytes, duration, number, short, time } from "../../lib/format";
import type { Page } from "../../pages";
import { go, place, setQuery, to } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm } from "../../ui/dialog";
import { Tabs } from "../../ui/form";
import { Icon } from "../../ui/icon";
import { Badge, Card, Facts, Head, Stat } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Shown } from "../../ui/states";
import { Text } from "../../ui/text";
import { attempt, told } from "../../ui/toast";
import { BanDialog } from "../bans/dialog";
import { version } from "../clients";
import { Messages } from "./messages";
import { Subscriptions } from "./subscriptions";
import { Timeline } from "./timeline";

const TABS: [string, string][] = [
  ["about", "About"],
  ["subscriptions", "Subscriptions"],
  ["queue", "Queue"],
  ["inflight", "Inflight"],
  ["timeline", "Timeline"],
];

function View({ params }: { params: Record<string, string> }) {
  const id = params["id"] ?? "";
  const loaded = useLoad<Client>((signal) => get(`clients/${piece(id)}`, undefined, { signal }), [id], { every: 3000 });
  const [banning, setBanning] = useState(false);
  const tab = place.value.query.get("tab") ?? "about";
  const kick = () =>
    confirm({
      title: "Disconnect this client?",
      words: "It may connect again at once.",
      action: "Disconnect",
      done: "Disconnected",
      act: async () => {
        await remove(`clients/${piece(id)}`);
        go("/clients");
      },
    });
  const trace = () =>
    void attempt(async () => {
      const name = `client-${Date.now().toString(36)}`;
      await post("trace", { name, type: "clientid", value: id, payload_encode: "hidden" });
      go("/tracing", { name });
    }, "Tracing");
  return (
    <>
      <Head
        title={
          <span class="row">
            <a href={to("/clients")} aria-label="Clients">
              <Icon name="left" />
            </a>
            <Text v={id} mono />
            {loaded.value && <Badge tone={loaded.value.connected ? "good" : "plain"}>{loaded.value.connected ? "connected" : "away"}</Badge>}
          </span>
        }
      >
        <a class="button" href={to("/explain", { clientid: id, username: loaded.value?.username ?? undefined })}>
          <Icon name="explain" />
          <span>Explain</span>
        </a>
        {may("operator") && (
          <>
            <Button icon="trace" onClick={trace}>
              Trace
            </Button>
            <Button icon="ban" onClick={() => setBanning(true)}>
              Ban
            </Button>
            <Button icon="out" kind="danger" onClick={kick}>
              Disconnect
            </Button>
          </>
        )}
      </Head>
      <div class="page-tabs">
        <Tabs label="Parts" tabs={TABS} value={tab} onChange={(key) => setQuery({ tab: key === "about" ? undefined : key })} />
      </div>
      {tab === "timeline" ? (
        <Timeline id={id} />
      ) : (
        <Shown of={loaded} lines={10}>
          {(client) => {
            if (tab === "subscriptions") return <Subscriptions client={client} reload={loaded.reload} />;
            if (tab === "queue" || tab === "inflight") return <Messages key={tab} id={id} kind={tab} />;
            return <About client={client} />;
          }}
        </Shown>
      )}
      {banning && <BanDialog who={[id]} onClose={() => setBanning(false)} onDone={() => (told("Banned"), loaded.reload())} />}
    </>
  );
}

function About({ client }: { client: Client }) {
  const { will } = client;
  return (
    <div class="stack">
      <div class="stats">
        <Stat label="Messages in" value={short(client.recv_msg)} note={bytes(client.recv_oct)} />
        <Stat label="Messages out" value={short(client.send_msg)} note={bytes(client.send_oct)} />
        <Stat label="Queue" value={short(client.mqueue_len ?? client.queued)} note={client.mqueue_bytes === undefined ? undefined : bytes(client.mqueue_bytes)} />
        <Stat label="Inflight" value={number(client.inflight_cnt ?? client.inflight)} note={client.awaiting_rel_cnt ? `${number(client.awaiting_rel_cnt)} await release` : undefined} />
        <Stat label="Dropped" value={short(client.mqueue_dropped)} tone={client.mqueue_dropped ? "warn" : "plain"} />
        <Stat label="Subscriptions" value={number(client.subscriptions_count)} />
      </div>
      <div class="columns-2">
        <Card title="Connection">
          <Facts
            of={[
              ["Address", <Text mono v={client.peer} />],
              ["Listener", client.listener],
              ["Transport", client.transport],
              ["MQTT", version(client.proto_ver)],
              [client.connected ? "Connected" : "Left", <>{time(client.connected ? client.connected_at : client.disconnected_at)} <span class="hint">{ago(client.connected ? client.connected_at : client.disconnected_at)}</span></>],
              ["Keep alive", client.keepalive ? `${client.keepalive} s` : client.keepalive === 0 ? "off" : null],
              ["Round trip", client.rtt_ms === undefined ? null : duration(client.rtt_ms)],
              ["Worker", client.worker === undefined ? null : String(client.worker)],
              ["Waits to be sent", client.send_pending_bytes === undefined ? null : bytes(client.send_pending_bytes)],
            ]}
          />
        </Card>
        <Card title="Identity">
          <Facts
            of={[
              ["User", client.username],
              ["Admitted by", client.provider],
              ["Roles", client.roles.join(", ") || null],
              ["Groups", client.groups.join(", ") || null],
              ["Superuser", client.is_superuser ? "yes" : "no"],
              ["Rights until", client.granted_until ? time(client.granted_until) : null],
              ["Certificate", client.certificate],
            ]}
          />
        </Card>
        <Card title="Session">
          <Facts
            of={[
              ["Clean start", client.clean_start === undefined || client.clean_start === null ? null : client.clean_start ? "yes" : "no"],
              ["Expires after", client.expiry_interval === 0xffffffff ? "never" : client.expiry_interval === undefined || client.expiry_interval === null ? null : duration(client.expiry_interval * 1000) || "at once"],
              ["Receive maximum", client.receive_maximum === undefined ? null : number(client.receive_maximum)],
              ["Topic aliases", client.topic_alias_maximum === undefined ? null : number(client.topic_alias_maximum)],
              ["Largest packet", client.maximum_packet_size === undefined ? null : bytes(client.maximum_packet_size)],
            ]}
          />
        </Card>
        <Card title="Will">
          {will ? (
            <Facts
              of={[
                ["Topic", <Text mono v={will.topic} />],
                ["QoS", String(will.qos)],
                ["Retained", will.retain ? "yes" : "no"],
                ["Delay", will.delay ? `${will.delay} s` : "none"],
              ]}
            />
          ) : (
            <p class="hint">{will === undefined ? "This server does not say." : "It leaves none."}</p>
          )}
        </Card>
      </div>
      {client.properties && Object.keys(client.properties).length > 0 && (
        <Card title="Properties of CONNECT">
          <Facts of={Object.entries(client.properties).map(([name, value]) => [name, <Text mono v={typeof value === "string" ? value : JSON.stringify(value)} />])} />
        </Card>
      )}
    </div>
  );
}

export const page: Page = { path: "/clients/:id", title: "Client", icon: "clients", section: "Observe", order: 2, inner: true, view: View };
