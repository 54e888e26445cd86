import { useState } from "preact/hooks";
import { piece, put } from "../../api/client";
import type { MqttRole, Rule } from "../../api/types";
import { Button } from "../../ui/button";
import { FormDialog } from "../../ui/dialog";
import { Input, Select } from "../../ui/form";
import { told } from "../../ui/toast";
import { names } from "../users/dialogs";

interface Draft {
  permission: Rule["permission"];
  action: Rule["action"];
  topics: string;
  /** What this form does not show stays as it is. */
  rest: Partial<Rule>;
}

const draft = ({ permission, action, topics, ...rest }: Rule): Draft => ({ permission, action, topics: (topics ?? []).join(", "), rest });
const fresh: Draft = { permission: "allow", action: "all", topics: "", rest: {} };

interface Props {
  role?: MqttRole;
  onClose: () => void;
  onDone: () => void;
}

export function RoleDialog({ role, onClose, onDone }: Props) {
  const [name, setName] = useState(role?.name ?? "");
  const [rules, setRules] = useState<Draft[]>(role?.rules.map(draft) ?? [fresh]);
  const change = (at: number, part: Partial<Draft>) => setRules(rules.map((rule, n) => (n === at ? { ...rule, ...part } : rule)));
  const move = (at: number, by: number) => {
    const next = [...rules];
    const [one] = next.splice(at, 1);
    if (one) next.splice(at + by, 0, one);
    setRules(next);
  };
  const submit = async () => {
    const made: Rule[] = rules.map(({ permission, action, topics, rest }) => ({ ...rest, permission, action, topics: names(topics) }));
    await put(`authorization/roles/${piece(name)}`, { rules: made });
    told(role ? "Changed: it holds from now on" : "Made");
    onDone();
  };
  return (
    <FormDialog title={role ? "Change role" : "New role"} action={role ? "Change" : "Make"} wide onClose={onClose} onSubmit={submit}>
      {!role && <Input label="Name" value={name} onInput={setName} required autoFocus />}
      <p class="hint">The first rule that fits decides. In a topic, %c is the client id and %u the user.</p>
      {rules.map((rule, at) => (
        <div key={at} class="form-row rule">
          <Select label="Permission" value={rule.permission} onChange={(permission) => change(at, { permission: permission as Draft["permission"] })} options={[["allow", "allow"], ["deny", "deny"]]} />
          <Select label="Action" value={rule.action} onChange={(action) => change(at, { action: action as Draft["action"] })} options={[["all", "publish and subscribe"], ["publish", "publish"], ["subscribe", "subscribe"]]} />
          <Input label="Topics" mono value={rule.topics} onInput={(topics) => change(at, { topics })} placeholder="plant/%c/#" />
          <span class="row">
            <Button icon="up" small title="Earlier" disabled={at === 0} onClick={() => move(at, -1)} />
            <Button icon="down" small title="Later" disabled={at === rules.length - 1} onClick={() => move(at, 1)} />
            <Button icon="trash" small title="Remove this rule" onClick={() => setRules(rules.filter((_, n) => n !== at))} />
          </span>
        </div>
      ))}
      <div>
        <Button icon="plus" small onClick={() => setRules([...rules, fresh])}>
          Rule
        </Button>
      </div>
    </FormDialog>
  );
}
