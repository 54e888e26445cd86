import { useState } from "preact/hooks";
import { get, piece } from "../../api/client";
import type { QueuedMessage, Rows } from "../../api/types";
import { ago, bytes, number } from "../../lib/format";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Badge, Card, Facts } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Payload } from "../../ui/payload";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";

const LIMIT = 50;

/** What waits for a client, or is on its way to it, in pieces. */
export function Messages({ id, kind }: { id: string; kind: "queue" | "inflight" }) {
  const [after, setAfter] = useState<string[]>([]);
  const [open, setOpen] = useState<QueuedMessage>();
  const from = after.at(-1);
  const path = `clients/${piece(id)}/${kind === "queue" ? "mqueue_messages" : "inflight_messages"}`;
  const loaded = useLoad<Rows<QueuedMessage>>((signal) => get(path, { limit: LIMIT, after: from }, { signal }), [path, from]);
  return (
    <Card flush title={kind === "queue" ? "Waits for this client" : "On its way to this client"} aside={<Button icon="refresh" kind="quiet" small title="Look again" onClick={loaded.reload} />}>
      <Shown of={loaded}>
        {({ data, meta }) =>
          data.length === 0 ? (
            <Empty icon="check" title="Nothing" />
          ) : (
            <>
              <Table
                label="Messages"
                rows={data.map((message, at) => ({ ...message, at }))}
                id={(row) => String(row.at)}
                columns={[
                  { title: "Topic", wide: true, cell: (row) => <button type="button" class="textlike link" onClick={() => setOpen(row)}>{row.topic ? <Text mono v={row.topic} /> : <span class="hint">{row.absent === "not_kept" ? "not kept: it would not be sent again" : "in the store"}</span>}</button> },
                  { title: "QoS", cell: (row) => row.qos },
                  { title: "From", cell: (row) => <Text mono v={row.from_clientid} /> },
                  { title: "Published", cell: (row) => ago(row.publish_at) },
                  { title: "Expires", cell: (row) => ago(row.expires_at) },
                  { title: "State", cell: (row) => (row.state ? <Badge tone="info"><Text v={row.state} /></Badge> : row.packet_id ? `#${row.packet_id}` : <Text v={null} />) },
                  { title: "Size", end: true, cell: (row) => bytes(row.size) },
                ]}
              />
              <div class="pager">
                <span>{meta.count === undefined ? "" : `${number(meta.count)} in all`}</span>
                <span class="grow" />
                <Button icon="left" title="Back" small disabled={!after.length} onClick={() => setAfter(after.slice(0, -1))} />
                <Button icon="right" title="On" small disabled={data.length < LIMIT || meta.last === undefined || meta.last === null} onClick={() => setAfter([...after, String(meta.last)])} />
              </div>
            </>
          )
        }
      </Shown>
      {open && (
        <Dialog title="Message" wide onClose={() => setOpen(undefined)}>
          <div class="dialog-body">
            <Facts
              of={[
                ["Topic", <Text mono v={open.topic} />],
                ["QoS", String(open.qos)],
                ["From", open.from_clientid],
                ["Published", ago(open.publish_at)],
              ]}
            />
            {open.absent ? (
              <p class="hint">{open.absent === "not_kept" ? "The server does not keep it: its session ends with the connection, so it would not be sent again." : "It lies in the store, and was not loaded for this look."}</p>
            ) : (
              <Payload payload={open.payload} topic={open.topic ?? ""} full={open.size} />
            )}
          </div>
        </Dialog>
      )}
    </Card>
  );
}
