import { useState } from "preact/hooks";
import { piece, post } from "../../api/client";
import type { Client } from "../../api/types";
import { plural } from "../../lib/format";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { FormDialog } from "../../ui/dialog";
import { Check, Input, Select } from "../../ui/form";
import { Badge, Card } from "../../ui/layout";
import { Empty } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";

const RETAIN_HANDLING: [string, string][] = [
  ["0", "Send at each subscribe"],
  ["1", "Send if it is new"],
  ["2", "Do not send"],
];

export function Subscriptions({ client, reload }: { client: Client; reload: () => void }) {
  const [adding, setAdding] = useState(false);
  const end = (topic: string) => void attempt(() => post(`clients/${piece(client.clientid)}/unsubscribe`, { topic }), "Unsubscribed").then(reload);
  const add = may("operator") && (
    <Button icon="plus" small onClick={() => setAdding(true)}>
      Subscribe
    </Button>
  );
  return (
    <Card flush title={plural(client.subscriptions_count, "subscription")} aside={add}>
      {client.subscriptions.length ? (
        <Table
          label="Subscriptions"
          rows={client.subscriptions}
          id={(row) => row.topic}
          columns={[
            { title: "Filter", wide: true, cell: (row) => <Text mono v={row.topic} /> },
            { title: "QoS", cell: (row) => row.qos },
            {
              title: "Options",
              cell: (row) => (
                <span class="row">
                  {row.nl && <Badge>no local</Badge>}
                  {row.rap && <Badge>retain as published</Badge>}
                  {row.rh > 0 && <Badge>retain handling {row.rh}</Badge>}
                  {row.partly && <Badge tone="warn">allowed in part</Badge>}
                </span>
              ),
            },
            {
              title: "",
              end: true,
              cell: (row) => may("operator") && <Button icon="trash" kind="quiet" small title="Unsubscribe" onClick={() => end(row.topic)} />,
            },
          ]}
        />
      ) : (
        <Empty icon="subscriptions" title="No subscriptions" />
      )}
      {client.subscriptions_count > client.subscriptions.length && <p class="card-note hint">Only the first {client.subscriptions.length} are shown.</p>}
      {adding && <Adding client={client} onClose={() => setAdding(false)} onDone={reload} />}
    </Card>
  );
}

function Adding({ client, onClose, onDone }: { client: Client; onClose: () => void; onDone: () => void }) {
  const [topic, setTopic] = useState("");
  const [qos, setQos] = useState("0");
  const [rh, setRh] = useState("0");
  const [nl, setNl] = useState(false);
  const [rap, setRap] = useState(false);
  const submit = async () => {
    const body = { topic, qos: Number(qos), nl: nl ? 1 : 0, rap: rap ? 1 : 0, rh: Number(rh) };
    await post(`clients/${piece(client.clientid)}/subscribe`, body);
    onDone();
  };
  return (
    <FormDialog title="Subscribe for this client" action="Subscribe" onClose={onClose} onSubmit={submit}>
      <Input label="Filter" mono value={topic} onInput={setTopic} required autoFocus placeholder="plant/+/temperature" />
      <div class="form-row">
        <Select label="QoS" value={qos} onChange={setQos} options={[["0", "0"], ["1", "1"], ["2", "2"]]} />
        <Select label="Retained messages" value={rh} onChange={setRh} options={RETAIN_HANDLING} />
      </div>
      <Check label="Not what it publishes itself (no local)" value={nl} onChange={setNl} />
      <Check label="Retain flag as published" value={rap} onChange={setRap} />
    </FormDialog>
  );
}
