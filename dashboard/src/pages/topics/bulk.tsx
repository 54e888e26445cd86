import { useState } from "preact/hooks";
import { get, post } from "../../api/client";
import type { Retained, Rows } from "../../api/types";
import { plural } from "../../lib/format";
import { Button } from "../../ui/button";
import { FormDialog } from "../../ui/dialog";
import { Input } from "../../ui/form";
import { Text } from "../../ui/text";
import { told } from "../../ui/toast";

/** Deletes all retained messages that a filter matches; counts them before. */
export function BulkDelete({ under, onDone }: { under: string; onDone?: () => void }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button icon="trash" onClick={() => setOpen(true)}>
        Delete retained
      </Button>
      {open && <Deleting first={under ? `${under}/#` : ""} onClose={() => setOpen(false)} onDone={onDone} />}
    </>
  );
}

function Deleting({ first, onClose, onDone }: { first: string; onClose: () => void; onDone: (() => void) | undefined }) {
  const [filter, setFilter] = useState(first);
  const [found, setFound] = useState<Rows<Retained>>();
  const submit = async () => {
    if (!found) {
      setFound(await get<Rows<Retained>>("mqtt/retainer/messages", { topic: filter, limit: 10 }));
      throw new Error("Look at what it matches, and confirm.");
    }
    const answer = await post<{ deleted: number }>("mqtt/retainer/delete", { filter });
    told(`Deleted ${plural(answer.deleted, "retained message")}`);
    onDone?.();
  };
  return (
    <FormDialog title="Delete retained messages" action={found ? "Delete them" : "Look"} danger={found !== undefined} onClose={onClose} onSubmit={submit}>
      <Input label="Filter" mono value={filter} onInput={(value) => (setFilter(value), setFound(undefined))} required autoFocus placeholder="plant/old/#" hint="All retained messages whose topic matches. It cannot be taken back." />
      {found && (
        <div>
          <p>{found.meta.count === undefined || found.meta.count < 0 ? "It matches:" : `It matches ${plural(found.meta.count, "message")}:`}</p>
          <ul class="shape">
            {found.data.slice(0, 10).map((row) => (
              <li key={row.topic}>
                <Text mono v={row.topic} />
              </li>
            ))}
          </ul>
        </div>
      )}
    </FormDialog>
  );
}
