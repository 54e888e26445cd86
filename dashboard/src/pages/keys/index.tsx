import { useState } from "preact/hooks";
import { get, piece, post, put, remove } from "../../api/client";
import type { ApiKey, NewApiKey, Rows } from "../../api/types";
import { ago, time } from "../../lib/format";
import type { Page } from "../../pages";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm, Dialog, FormDialog } from "../../ui/dialog";
import { Check, Input, Select } from "../../ui/form";
import { Badge, Card, Head } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { copy, told } from "../../ui/toast";
import { RoleBadge, ROLES } from "../administrators";

function View() {
  const loaded = useLoad<ApiKey[] | Rows<ApiKey>>((signal) => get("api_key", undefined, { signal }), []);
  const [open, setOpen] = useState<ApiKey | "new">();
  const [made, setMade] = useState<NewApiKey>();
  const drop = (key: ApiKey) =>
    confirm({
      title: "Remove this key?",
      words: <>
        What uses <Text v={key.name} /> is refused from now on.
      </>,
      action: "Remove",
      done: "Removed",
      act: async () => {
        await remove(`api_key/${piece(key.name)}`);
        loaded.reload();
      },
    });
  return (
    <>
      <Head title="API keys" hint="For scripts: a key and a secret instead of name and password, with Basic authentication.">
        {may("admin") && (
          <Button kind="primary" icon="plus" onClick={() => setOpen("new")}>
            New key
          </Button>
        )}
      </Head>
      <Card flush>
        <Shown of={loaded}>
          {(answer) => {
            const rows = Array.isArray(answer) ? answer : answer.data;
            if (!rows.length) return <Empty icon="key" title="No keys" />;
            return (
              <Table
                label="API keys"
                rows={rows.slice(0, 500)}
                id={(row) => row.name}
                columns={[
                  { title: "Name", cell: (row) => <Text v={row.name} /> },
                  { title: "Key", cell: (row) => <Text mono v={row.api_key} /> },
                  { title: "Role", cell: (row) => <RoleBadge role={row.role} /> },
                  { title: "State", cell: (row) => <Badge tone={!row.enabled ? "plain" : row.expires_at && new Date(row.expires_at).getTime() < Date.now() ? "bad" : "good"}>{!row.enabled ? "disabled" : row.expires_at && new Date(row.expires_at).getTime() < Date.now() ? "expired" : "enabled"}</Badge> },
                  { title: "Expires", cell: (row) => (row.expires_at ? <span title={time(row.expires_at)}>{ago(row.expires_at)}</span> : "never") },
                  { title: "Description", wide: true, cell: (row) => <Text v={row.description} /> },
                  {
                    title: "",
                    end: true,
                    cell: (row) =>
                      may("admin") && (
                        <span class="row">
                          <Button icon="edit" kind="quiet" small title="Change" onClick={() => setOpen(row)} />
                          <Button icon="trash" kind="quiet" small title="Remove" onClick={() => drop(row)} />
                        </span>
                      ),
                  },
                ]}
              />
            );
          }}
        </Shown>
      </Card>
      {open && <KeyDialog {...(open === "new" ? {} : { of: open })} onClose={() => setOpen(undefined)} onDone={(key) => (setMade(key), loaded.reload())} />}
      {made && <Secret of={made} onClose={() => setMade(undefined)} />}
    </>
  );
}

const SPANS: [string, string][] = [
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "1 year"],
  ["", "never"],
];

function KeyDialog({ of, onClose, onDone }: { of?: ApiKey; onClose: () => void; onDone: (made?: NewApiKey) => void }) {
  const [name, setName] = useState(of?.name ?? "");
  const [role, setRole] = useState<string>(of?.role ?? "viewer");
  const [days, setDays] = useState("90");
  const [description, setDescription] = useState(of?.description ?? "");
  const [enabled, setEnabled] = useState(of?.enabled ?? true);
  const submit = async () => {
    if (of) {
      await put(`api_key/${piece(of.name)}`, { role, description, enabled });
      told("Changed");
      onDone();
      return;
    }
    const expires_at = days ? new Date(Date.now() + Number(days) * 86_400_000).toISOString() : null;
    onDone(await post<NewApiKey>("api_key", { name, role, description, enabled, expires_at }));
  };
  return (
    <FormDialog title={of ? "Change key" : "New key"} action={of ? "Change" : "Make"} onClose={onClose} onSubmit={submit}>
      {!of && <Input label="Name" value={name} onInput={setName} required autoFocus />}
      <Select label="Role" value={role} onChange={setRole} options={ROLES} />
      {!of && <Select label="Expires after" value={days} onChange={setDays} options={SPANS} />}
      <Input label="Description (optional)" value={description} onInput={setDescription} />
      <Check label="Enabled" value={enabled} onChange={setEnabled} />
    </FormDialog>
  );
}

function Secret({ of, onClose }: { of: NewApiKey; onClose: () => void }) {
  return (
    <Dialog title="Keep the secret now" onClose={onClose}>
      <div class="dialog-body">
        <p>The server keeps only a hash of it: it is shown this once.</p>
        <div class="row">
          <span class="stat-label">Key</span>
          <Text mono v={of.api_key} />
          <Button icon="copy" kind="quiet" small title="Copy the key" onClick={() => void copy(of.api_key)} />
        </div>
        <div class="row">
          <span class="stat-label">Secret</span>
          <Text mono v={of.api_secret} />
          <Button icon="copy" kind="quiet" small title="Copy the secret" onClick={() => void copy(of.api_secret)} />
        </div>
      </div>
      <div class="dialog-foot">
        <Button kind="primary" onClick={onClose}>
          I have it
        </Button>
      </div>
    </Dialog>
  );
}

export const page: Page = { path: "/keys", title: "API keys", icon: "key", section: "Administration", order: 2, role: "admin", key: "k", view: View };
