import { useState } from "preact/hooks";
import { get, piece, post, put, remove } from "../../api/client";
import type { Rows, Trace } from "../../api/types";
import { ago, bytes, time } from "../../lib/format";
import type { Page } from "../../pages";
import { place, setQuery } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { FormDialog } from "../../ui/dialog";
import { Input, Select } from "../../ui/form";
import { Badge, Card, Head } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";
import { Tail } from "./tail";

const KINDS: [string, string][] = [
  ["clientid", "Client id"],
  ["topic", "Topic filter"],
  ["ip_address", "IP address"],
];

const rows = (answer: Trace[] | Rows<Trace>): Trace[] => (Array.isArray(answer) ? answer : answer.data);
const running = (trace: Trace): boolean => trace.status === "running" || trace.status === "waiting";

function View() {
  const loaded = useLoad<Trace[] | Rows<Trace>>((signal) => get("trace", undefined, { signal }), [], { every: 4000 });
  const [adding, setAdding] = useState(false);
  const name = place.value.query.get("name");
  const stop = (trace: Trace) => void attempt(() => put(`trace/${piece(trace.name)}/stop`), "Stopped").then(loaded.reload);
  const drop = (trace: Trace) =>
    void attempt(() => remove(`trace/${piece(trace.name)}`), "Removed").then(() => {
      if (trace.name === name) setQuery({ name: undefined });
      loaded.reload();
    });
  return (
    <>
      <Head title="Tracing" hint="What happens to one client, one topic or one address, line by line.">
        {may("operator") && (
          <Button kind="primary" icon="plus" onClick={() => setAdding(true)}>
            New trace
          </Button>
        )}
      </Head>
      <div class="stack">
        <Card flush>
          <Shown of={loaded}>
            {(answer) =>
              rows(answer).length ? (
                <Table
                  label="Traces"
                  rows={rows(answer).slice(0, 100)}
                  id={(row) => row.name}
                  tone={(row) => (row.name === name ? "chosen" : undefined)}
                  columns={[
                    { title: "Trace", cell: (row) => <button type="button" class="textlike link" onClick={() => setQuery({ name: row.name })}><Text mono v={row.name} /></button> },
                    { title: "Of", cell: (row) => KINDS.find(([key]) => key === row.type)?.[1] ?? <Text v={row.type} /> },
                    { title: "Value", wide: true, cell: (row) => <Text mono v={row.value} /> },
                    { title: "State", cell: (row) => <Badge tone={running(row) ? "good" : "plain"}><Text v={row.status ?? "stopped"} /></Badge> },
                    { title: "Payloads", cell: (row) => row.payload_encode ?? "hidden" },
                    { title: "Begun", cell: (row) => <span title={time(row.start_at)}>{ago(row.start_at)}</span> },
                    { title: "Ends", cell: (row) => ago(row.end_at) },
                    { title: "Size", end: true, cell: (row) => bytes(row.size) },
                    {
                      title: "",
                      end: true,
                      cell: (row) =>
                        may("operator") && (
                          <span class="row">
                            {running(row) && <Button icon="stop" kind="quiet" small title="Stop" onClick={() => stop(row)} />}
                            <Button icon="trash" kind="quiet" small title="Remove" onClick={() => drop(row)} />
                          </span>
                        ),
                    },
                  ]}
                />
              ) : (
                <Empty icon="trace" title="No traces">
                  Start one for a client that misbehaves, and watch.
                </Empty>
              )
            }
          </Shown>
        </Card>
        {name && loaded.value && <Tail key={name} name={name} size={rows(loaded.value).find((row) => row.name === name)?.size ?? 0} />}
      </div>
      {adding && <Adding onClose={() => setAdding(false)} onDone={(made) => (loaded.reload(), setQuery({ name: made }))} />}
    </>
  );
}

function Adding({ onClose, onDone }: { onClose: () => void; onDone: (name: string) => void }) {
  const [name, setName] = useState(`trace-${Date.now().toString(36)}`);
  const [type, setType] = useState("clientid");
  const [value, setValue] = useState("");
  const [minutes, setMinutes] = useState("10");
  const [payload, setPayload] = useState("hidden");
  const submit = async () => {
    const end_at = new Date(Date.now() + Number(minutes) * 60_000).toISOString();
    await post("trace", { name, type, value, end_at, payload_encode: payload });
    onDone(name);
  };
  return (
    <FormDialog title="New trace" action="Start" onClose={onClose} onSubmit={submit}>
      <Select label="Of" value={type} onChange={setType} options={KINDS} />
      <Input label="Value" mono value={value} onInput={setValue} required autoFocus placeholder={type === "topic" ? "plant/#" : type === "ip_address" ? "192.0.2.7" : "sensor-17"} />
      <Input label="Name" mono value={name} onInput={setName} required />
      <div class="form-row">
        <Select label="For" value={minutes} onChange={setMinutes} options={[["1", "1 minute"], ["10", "10 minutes"], ["60", "1 hour"]]} />
        <Select label="Payloads" value={payload} onChange={setPayload} options={[["hidden", "hidden"], ["text", "as text"], ["hex", "as hex"]]} />
      </div>
    </FormDialog>
  );
}

export const page: Page = { path: "/tracing", title: "Tracing", icon: "trace", section: "Diagnose", order: 3, key: "x", view: View };
