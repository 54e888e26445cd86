import { useState } from "preact/hooks";
import { ask, piece, post, put } from "../../api/client";
import type { Group, Imported, NewUser, User, UserChange } from "../../api/types";
import { number } from "../../lib/format";
import { FormDialog } from "../../ui/dialog";
import { Check, Field, Input, Select } from "../../ui/form";
import { told } from "../../ui/toast";

/** Names with commas between them. */
export const names = (text: string): string[] => text.split(",").map((name) => name.trim()).filter(Boolean);

interface Props {
  onClose: () => void;
  onDone: () => void;
}

export function UserDialog({ user, onClose, onDone }: Props & { user?: User }) {
  const [id, setId] = useState(user?.user_id ?? "");
  const [password, setPassword] = useState("");
  const [roles, setRoles] = useState(user?.roles.join(", ") ?? "");
  const [groups, setGroups] = useState(user?.groups.join(", ") ?? "");
  const [disabled, setDisabled] = useState(user?.disabled ?? false);
  const [superuser, setSuperuser] = useState(user?.is_superuser ?? false);
  const submit = async () => {
    const same = { roles: names(roles), groups: names(groups), disabled, is_superuser: superuser };
    if (user) {
      const change: UserChange = { ...same, ...(password ? { password } : {}) };
      await put(`authentication/database/users/${piece(user.user_id)}`, change);
    } else {
      const made: NewUser = { ...same, user_id: id, password };
      await post("authentication/database/users", made);
    }
    told(user ? "Changed" : "Made");
    onDone();
  };
  return (
    <FormDialog title={user ? "Change user" : "New user"} action={user ? "Change" : "Make"} onClose={onClose} onSubmit={submit}>
      {!user && <Input label="User" mono value={id} onInput={setId} required autoFocus />}
      <Input label={user ? "New password (empty: as it is)" : "Password"} type="password" autoComplete="new-password" value={password} onInput={setPassword} required={!user} />
      <Input label="Roles" value={roles} onInput={setRoles} hint="Names with commas between them." />
      <Input label="Groups" value={groups} onInput={setGroups} hint="Names with commas between them." />
      <Check label="Disabled: cannot connect" value={disabled} onChange={setDisabled} />
      <Check label="Superuser: no rule is asked" value={superuser} onChange={setSuperuser} />
    </FormDialog>
  );
}

export function GroupDialog({ group, onClose, onDone }: Props & { group?: Group }) {
  const [name, setName] = useState(group?.name ?? "");
  const [roles, setRoles] = useState(group?.roles.join(", ") ?? "");
  const submit = async () => {
    await put(`authorization/groups/${piece(name)}`, { roles: names(roles) });
    told(group ? "Changed" : "Made");
    onDone();
  };
  return (
    <FormDialog title={group ? "Change group" : "New group"} action={group ? "Change" : "Make"} onClose={onClose} onSubmit={submit}>
      {!group && <Input label="Name" value={name} onInput={setName} required autoFocus />}
      <Input label="Roles" value={roles} onInput={setRoles} hint="Names with commas between them." />
    </FormDialog>
  );
}

export function ImportDialog({ onClose, onDone }: Props) {
  const [file, setFile] = useState<File>();
  const [format, setFormat] = useState("mosquitto");
  const [existing, setExisting] = useState("keep");
  const submit = async () => {
    if (!file) throw new Error("Choose a file.");
    const response = await ask("POST", "authentication/database/users/import", { query: { format, existing }, raw: { type: "text/plain", body: file } });
    const { created, replaced, kept } = (await response.json()) as Imported;
    told(`${number(created)} made, ${number(replaced)} replaced, ${number(kept)} kept`);
    onDone();
  };
  return (
    <FormDialog title="Import users" action="Import" onClose={onClose} onSubmit={submit}>
      <Select label="The file is" value={format} onChange={setFormat} options={[["mosquitto", "a password file of Mosquitto"], ["csv", "CSV"]]} />
      <Field label="File">{(id) => <input id={id} type="file" required onChange={(event) => setFile(event.currentTarget.files?.[0])} />}</Field>
      <Select label="Users that are there already" value={existing} onChange={setExisting} options={[["keep", "stay as they are"], ["replace", "are replaced"], ["refuse", "make it fail"]]} />
    </FormDialog>
  );
}
