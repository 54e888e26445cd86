import { get, piece, put } from "../../api/client";
import type { Bridge } from "../../api/types";
import { ago, bytes, number, time } from "../../lib/format";
import type { Page } from "../../pages";
import { to } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { Badge, Card, Head, type Tone } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";

const tone = (bridge: Bridge): Tone => (bridge.connected_at ? "good" : bridge.down_since ? "bad" : bridge.state === "idle" ? "info" : "plain");
const dropped = (bridge: Bridge): number => bridge.dropped.reduce((sum, one) => sum + one.count, 0);
const reasons = (bridge: Bridge): string =>
  bridge.dropped
    .filter((one) => one.count)
    .map((one) => `${one.reason}: ${number(one.count)}`)
    .join(", ");

function View() {
  const loaded = useLoad<{ data: Bridge[] }>((signal) => get("bridges", undefined, { signal }), [], { every: 3000 });
  const order = (bridge: Bridge, what: string, words: string) => void attempt(() => put(`bridges/${piece(bridge.name)}/${what}`), words).then(loaded.reload);
  return (
    <>
      <Head title="Bridges" hint="Connections of this server to others, and what goes over." />
      <Card flush>
        <Shown of={loaded}>
          {({ data }) =>
            data.length ? (
              <Table
                label="Bridges"
                rows={data}
                id={(row) => row.name}
                columns={[
                  { title: "Bridge", cell: (row) => <a href={to(`/clients/${piece(row.local_clientid)}`)} title="To its session at this server"><Text v={row.name} /></a> },
                  { title: "State", cell: (row) => <span title={`since ${time(row.since)}; ${number(row.reconnects)} reconnects, ${number(row.failures)} failures`}><Badge tone={tone(row)}><Text v={row.state} /></Badge> {ago(row.since)}</span> },
                  { title: "Address", cell: (row) => <Text mono v={row.address ?? row.addresses.join(", ")} /> },
                  { title: "User", cell: (row) => (row.user ? <Text v={row.user} /> : <span title="It may do everything that is not the server's own.">none</span>) },
                  { title: "Lag", end: true, cell: (row) => <span class={row.lag > 1000 ? "warn-text" : ""} title={`${number(row.inflight_out)} on their way out, ${number(row.inflight_in)} in`}>{number(row.lag)}</span> },
                  { title: "Out", end: true, cell: (row) => <span title={bytes(row.bytes_out)}>{number(row.messages_out)}</span> },
                  { title: "In", end: true, cell: (row) => <span title={bytes(row.bytes_in)}>{number(row.messages_in)}</span> },
                  { title: "Dropped", end: true, cell: (row) => <span class={dropped(row) ? "warn-text" : ""} title={reasons(row)}>{number(dropped(row))}</span> },
                  {
                    title: "",
                    cell: (row) =>
                      may("operator") && (
                        <span class="row">
                          {row.enabled && <Button icon="refresh" kind="quiet" small title="Restart" onClick={() => order(row, "restart", "Connecting anew")} />}
                          {row.enabled ? (
                            <Button icon="stop" kind="quiet" small title="Switch off" onClick={() => order(row, "disable", "Switched off; what is to go out waits")} />
                          ) : (
                            <Button icon="play" kind="quiet" small title="Switch on" onClick={() => order(row, "enable", "Switched on")} />
                          )}
                        </span>
                      ),
                  },
                  {
                    title: "Last error",
                    wide: true,
                    cell: (row) =>
                      row.last_error && (
                        <span title={time(row.last_error.at)}>
                          {ago(row.last_error.at)}: <Text v={row.last_error.message} />
                        </span>
                      ),
                  },
                ]}
              />
            ) : (
              <Empty icon="bridge" title="No bridges">
                Name one in the configuration, as [[bridge]].
              </Empty>
            )
          }
        </Shown>
      </Card>
    </>
  );
}

export const page: Page = { path: "/bridges", title: "Bridges", icon: "bridge", section: "Server", order: 2, view: View };
