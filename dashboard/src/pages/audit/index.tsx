import { useState } from "preact/hooks";
import type { AuditLine } from "../../api/types";
import { diff, hunks } from "../../lib/diff";
import { time } from "../../lib/format";
import type { Page } from "../../pages";
import { Dialog } from "../../ui/dialog";
import { Badge, Card, Facts, Head, type Tone } from "../../ui/layout";
import { List, useList } from "../../ui/list";
import { Text } from "../../ui/text";
import { Difflines } from "../topics/value";

const TONES: Record<AuditLine["outcome"], Tone> = { done: "good", refused: "warn", failed: "bad", damaged: "bad" };

const pretty = (value: unknown): string => (value === undefined || value === null ? "" : JSON.stringify(value, null, 2));

function View() {
  const listing = useList<AuditLine>("audit");
  const [open, setOpen] = useState<AuditLine>();
  return (
    <>
      <Head title="Audit log" hint="Each change, and each attempt at one: written before it is made." />
      <Card flush>
        <List
          of={listing}
          label="Audit log"
          id={(row) => row.id}
          empty={{ icon: "audit", title: "Nothing was changed yet" }}
          columns={[
            { title: "When", cell: (row) => time(row.at) },
            { title: "Who", cell: (row) => <Text v={row.who} /> },
            { title: "From", cell: (row) => <Text mono v={row.from} /> },
            { title: "Did", cell: (row) => <button type="button" class="textlike link" onClick={() => setOpen(row)}><Text mono v={row.operation} /></button> },
            { title: "To", wide: true, cell: (row) => <Text mono v={row.target} /> },
            { title: "Outcome", cell: (row) => <Badge tone={TONES[row.outcome]}>{row.outcome}</Badge> },
            { title: "Why", cell: (row) => <Text v={row.why} /> },
          ]}
        />
      </Card>
      {open && (
        <Dialog title="Change" wide onClose={() => setOpen(undefined)}>
          <div class="dialog-body">
            <Facts
              of={[
                ["When", time(open.at)],
                ["Who", open.who],
                ["From", open.from],
                ["Did", <Text mono v={open.operation} />],
                ["To", <Text mono v={open.target} />],
                ["Why", open.why ?? null],
              ]}
            />
            <Difflines of={hunks(diff(pretty(open.before), pretty(open.after)), 100)} />
          </div>
        </Dialog>
      )}
    </>
  );
}

export const page: Page = { path: "/audit", title: "Audit log", icon: "audit", section: "Administration", order: 3, role: "admin", view: View };
