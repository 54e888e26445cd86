import { useState } from "preact/hooks";
import { get, piece, post, put, remove } from "../../api/client";
import type { Administrator, Role, Rows } from "../../api/types";
import { ago, time } from "../../lib/format";
import type { Page } from "../../pages";
import { may, session } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm, FormDialog } from "../../ui/dialog";
import { Input, Select } from "../../ui/form";
import { Badge, Card, Head } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { told } from "../../ui/toast";

export const ROLES: [Role, string][] = [
  ["viewer", "Viewer: looks, sees no payloads"],
  ["operator", "Operator: also disconnects, bans, publishes, traces"],
  ["admin", "Admin: everything"],
];

export const RoleBadge = ({ role }: { role: Role }) => <Badge tone={role === "admin" ? "warn" : role === "operator" ? "info" : "plain"}>{role}</Badge>;

function View() {
  const loaded = useLoad<Administrator[] | Rows<Administrator>>((signal) => get("admins", undefined, { signal }), []);
  const [open, setOpen] = useState<Administrator | "new" | "password">();
  const me = session.value?.username;
  const drop = (one: Administrator) =>
    confirm({
      title: "Remove this administrator?",
      words: <>
        <Text v={one.username} /> is signed out everywhere.
      </>,
      action: "Remove",
      done: "Removed",
      act: async () => {
        await remove(`admins/${piece(one.username)}`);
        loaded.reload();
      },
    });
  return (
    <>
      <Head title="Administrators" hint="Who may use this dashboard and the API. MQTT users are on the page Users and groups.">
        <Button icon="key" onClick={() => setOpen("password")}>
          Change my password
        </Button>
        {may("admin") && (
          <Button kind="primary" icon="plus" onClick={() => setOpen("new")}>
            New administrator
          </Button>
        )}
      </Head>
      <Card flush>
        <Shown of={loaded}>
          {(answer) => (
            <Table
              label="Administrators"
              rows={Array.isArray(answer) ? answer : answer.data}
              id={(row) => row.username}
              columns={[
                { title: "Name", cell: (row) => <span class="row"><Text v={row.username} />{row.username === me && <Badge>you</Badge>}</span> },
                { title: "Role", cell: (row) => <RoleBadge role={row.role} /> },
                { title: "Description", wide: true, cell: (row) => <Text v={row.description} /> },
                { title: "Made", cell: (row) => <span title={time(row.created_at)}>{ago(row.created_at)}</span> },
                {
                  title: "",
                  end: true,
                  cell: (row) =>
                    may("admin") && (
                      <span class="row">
                        <Button icon="edit" kind="quiet" small title="Change" onClick={() => setOpen(row)} />
                        <Button icon="trash" kind="quiet" small title="Remove" disabled={row.username === me} onClick={() => drop(row)} />
                      </span>
                    ),
                },
              ]}
            />
          )}
        </Shown>
      </Card>
      {open === "password" && <PasswordDialog onClose={() => setOpen(undefined)} />}
      {open && open !== "password" && <AdminDialog {...(open === "new" ? {} : { one: open })} onClose={() => setOpen(undefined)} onDone={loaded.reload} />}
    </>
  );
}

function AdminDialog({ one, onClose, onDone }: { one?: Administrator; onClose: () => void; onDone: () => void }) {
  const [username, setUsername] = useState(one?.username ?? "");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<string>(one?.role ?? "viewer");
  const [description, setDescription] = useState(one?.description ?? "");
  const submit = async () => {
    if (one) await put(`admins/${piece(one.username)}`, { role, description });
    else await post("admins", { username, password, role, description });
    told(one ? "Changed" : "Made");
    onDone();
  };
  return (
    <FormDialog title={one ? "Change administrator" : "New administrator"} action={one ? "Change" : "Make"} onClose={onClose} onSubmit={submit}>
      {!one && (
        <>
          <Input label="Name" value={username} onInput={setUsername} required autoFocus />
          <Input label="Password" type="password" autoComplete="new-password" value={password} onInput={setPassword} required />
        </>
      )}
      <Select label="Role" value={role} onChange={setRole} options={ROLES} />
      <Input label="Description (optional)" value={description} onInput={setDescription} />
    </FormDialog>
  );
}

function PasswordDialog({ onClose }: { onClose: () => void }) {
  const [old_pwd, setOld] = useState("");
  const [new_pwd, setNew] = useState("");
  const [again, setAgain] = useState("");
  const submit = async () => {
    if (new_pwd !== again) throw new Error("The two passwords are not the same.");
    await post(`admins/${piece(session.value?.username ?? "")}/change_pwd`, { old_pwd, new_pwd });
    told("Changed; other sessions of yours are over");
  };
  return (
    <FormDialog title="Change my password" action="Change" onClose={onClose} onSubmit={submit}>
      <Input label="Password until now" type="password" autoComplete="current-password" value={old_pwd} onInput={setOld} required autoFocus />
      <Input label="New password" type="password" autoComplete="new-password" value={new_pwd} onInput={setNew} required />
      <Input label="New password, again" type="password" autoComplete="new-password" value={again} onInput={setAgain} required />
    </FormDialog>
  );
}

export const page: Page = { path: "/administrators", title: "Administrators", icon: "people", section: "Administration", order: 1, role: "viewer", view: View };
