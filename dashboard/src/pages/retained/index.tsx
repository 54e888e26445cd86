import { useState } from "preact/hooks";
import { get, piece, remove } from "../../api/client";
import type { Retained } from "../../api/types";
import { ago, bytes, time } from "../../lib/format";
import type { Page } from "../../pages";
import { setQuery, to } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm, Dialog } from "../../ui/dialog";
import { Filters, Search } from "../../ui/form";
import { Card, Facts, Head } from "../../ui/layout";
import { List, useFilters, useList } from "../../ui/list";
import { useLoad } from "../../ui/load";
import { Payload } from "../../ui/payload";
import { Shown } from "../../ui/states";
import { Text } from "../../ui/text";
import { ClientLink } from "../subscriptions";
import { BulkDelete } from "../topics/bulk";

function View() {
  const filters = useFilters(["topic"]);
  const listing = useList<Retained>("mqtt/retainer/messages", filters);
  const [open, setOpen] = useState<string>();
  const drop = (topic: string) =>
    confirm({
      title: "Delete this retained message?",
      words: <Text mono v={topic} />,
      action: "Delete",
      done: "Deleted",
      act: async () => {
        await remove(`mqtt/retainer/message/${piece(topic)}`);
        listing.reload();
      },
    });
  return (
    <>
      <Head title="Retained messages" hint="The last message of a topic, kept for who subscribes later.">
        {may("operator") && <BulkDelete under="" onDone={listing.reload} />}
      </Head>
      <Filters>
        <Search main label="Topic or filter" placeholder="Topic or filter: plant/#" value={filters["topic"] ?? ""} onSearch={(topic) => setQuery({ topic, page: undefined })} />
      </Filters>
      <Card flush>
        <List
          of={listing}
          label="Retained messages"
          id={(row) => row.topic}
          empty={{ icon: "retained", title: "No retained messages" }}
          columns={[
            { title: "Topic", wide: true, cell: (row) => <button type="button" class="textlike link" onClick={() => setOpen(row.topic)}><Text mono v={row.topic} /></button> },
            { title: "QoS", cell: (row) => row.qos },
            { title: "From", cell: (row) => <ClientLink id={row.from_clientid} /> },
            { title: "Published", cell: (row) => <span title={time(row.publish_at)}>{ago(row.publish_at)}</span> },
            { title: "Expires", cell: (row) => ago(row.expires_at) },
            { title: "Size", end: true, cell: (row) => bytes(row.size) },
            {
              title: "",
              end: true,
              cell: (row) => (
                <span class="row">
                  <a class="button quiet small" href={to("/topics", { topic: row.topic })}>
                    Explore
                  </a>
                  {may("operator") && <Button icon="trash" kind="quiet" small title="Delete" onClick={() => drop(row.topic)} />}
                </span>
              ),
            },
          ]}
        />
      </Card>
      {open !== undefined && <Message topic={open} onClose={() => setOpen(undefined)} />}
    </>
  );
}

function Message({ topic, onClose }: { topic: string; onClose: () => void }) {
  const loaded = useLoad<Retained>((signal) => get(`mqtt/retainer/message/${piece(topic)}`, undefined, { signal }), [topic]);
  return (
    <Dialog title="Retained message" wide onClose={onClose}>
      <div class="dialog-body">
        <Shown of={loaded}>
          {(message) => (
            <>
              <Facts
                of={[
                  ["Topic", <Text mono v={message.topic} />],
                  ["QoS", String(message.qos)],
                  ["From", message.from_clientid],
                  ["User", message.from_username],
                  ["Published", time(message.publish_at)],
                  ["Expires", message.expires_at ? ago(message.expires_at) : "never"],
                ]}
              />
              <Payload payload={message.payload} topic={topic} full={message.size} />
            </>
          )}
        </Shown>
      </div>
    </Dialog>
  );
}

export const page: Page = { path: "/retained", title: "Retained", icon: "retained", section: "Observe", order: 5, key: "r", view: View };
