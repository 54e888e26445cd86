import { useState } from "preact/hooks";
import { post, put } from "../../api/client";
import type { Checked, Configs } from "../../api/types";
import { diff, hunks } from "../../lib/diff";
import { plural } from "../../lib/format";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm } from "../../ui/dialog";
import { Area } from "../../ui/form";
import { Badge, Card } from "../../ui/layout";
import { Empty, Failure } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { Difflines } from "../topics/value";

/** Change the file's text, see what would become of it, and only then apply it. */
export function Editor({ configs, reload }: { configs: Configs; reload: () => void }) {
  const [toml, setToml] = useState(configs.toml);
  // The text that the change began with: what others apply meanwhile is not overwritten.
  const [etag, setEtag] = useState(configs.etag);
  const [checked, setChecked] = useState<Checked>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const edit = (text: string) => {
    setToml(text);
    setChecked(undefined);
  };
  const check = async () => {
    setBusy(true);
    try {
      setChecked(await post<Checked>("configs/check", { toml }));
      setError(undefined);
    } catch (caught) {
      setError(caught as Error);
    }
    setBusy(false);
  };
  const apply = () =>
    confirm({
      title: "Apply this configuration?",
      words: checked?.changes.some((change) => change.needs_restart) ? "Some of it holds only after a restart. The configuration before it is kept." : "It holds at once. The configuration before it is kept.",
      action: "Apply",
      done: "Applied",
      act: async () => {
        const applied = await put<{ etag: string }>("configs", { toml }, etag ? { headers: { "If-Match": `"${etag}"` } } : {});
        setEtag(applied.etag);
        setChecked(undefined);
        reload();
      },
    });
  const lines = hunks(diff(configs.toml, toml));
  return (
    <div class="side-by-side">
      <Card title="The file">
        <div class="form">
          <Area label="Configuration (TOML)" rows={26} value={toml} onInput={edit} />
          <div class="row">
            {may("admin") && (
              <Button icon="check" busy={busy} onClick={() => void check()}>
                Check
              </Button>
            )}
            {may("admin") && (
              <Button kind="primary" disabled={!checked?.ok || toml === configs.toml} onClick={apply}>
                Apply
              </Button>
            )}
            <Button kind="quiet" disabled={toml === configs.toml} onClick={() => edit(configs.toml)}>
              As it was
            </Button>
          </div>
        </div>
      </Card>
      <div class="stack">
        <Card title="Difference">{lines.length ? <Difflines of={lines} /> : <p class="hint">Nothing is changed.</p>}</Card>
        {error && (
          <Card>
            <Failure error={error} />
          </Card>
        )}
        {checked && (
          <Card flush title="What the server says" aside={<Badge tone={checked.ok ? "good" : "bad"}>{checked.ok ? "valid" : plural(checked.problems.length, "problem")}</Badge>}>
            {checked.problems.length > 0 && (
              <Table
                label="Problems"
                rows={checked.problems.map((row, at) => ({ ...row, n: at }))}
                id={(row) => String(row.n)}
                columns={[
                  { title: "At", cell: (row) => (row.line ? `${row.line}:${row.column ?? 1}` : "–") },
                  { title: "Key", cell: (row) => <Text mono v={row.key} /> },
                  { title: "Problem", wide: true, cell: (row) => <><Text v={row.message} />{row.hint && <p class="hint"><Text v={row.hint} /></p>}</> },
                ]}
              />
            )}
            {checked.changes.length > 0 && (
              <Table
                label="Changes"
                rows={checked.changes}
                id={(row) => row.key}
                columns={[
                  { title: "Key", cell: (row) => <Text mono v={row.key} /> },
                  { title: "From", cell: (row) => <Text mono v={row.from} /> },
                  { title: "To", wide: true, cell: (row) => <Text mono v={row.to} /> },
                  { title: "", cell: (row) => row.needs_restart && <Badge tone="warn">after a restart</Badge> },
                ]}
              />
            )}
            {checked.ok && !checked.changes.length && <Empty icon="check" title="It changes nothing" />}
          </Card>
        )}
      </div>
    </div>
  );
}
