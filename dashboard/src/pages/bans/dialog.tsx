import { useState } from "preact/hooks";
import { post } from "../../api/client";
import type { BanOn, NewBan } from "./types";
import { FormDialog } from "../../ui/dialog";
import { Input, Select } from "../../ui/form";

const SPANS: [string, string][] = [
  ["600", "10 minutes"],
  ["3600", "1 hour"],
  ["86400", "1 day"],
  ["604800", "1 week"],
  ["", "for good"],
];

interface Props {
  /** Whom, if that is known. */
  who?: string[];
  onClose: () => void;
  onDone: () => void;
}

export function BanDialog({ who: known, onClose, onDone }: Props) {
  const [as, setAs] = useState<BanOn>("clientid");
  const [who, setWho] = useState(known?.[0] ?? "");
  const [span, setSpan] = useState("3600");
  const [reason, setReason] = useState("");
  const submit = async () => {
    const until = span ? new Date(Date.now() + Number(span) * 1000).toISOString() : null;
    for (const one of known ?? [who]) {
      const ban: NewBan = { as, who: one, ...(reason ? { reason } : {}), ...(until ? { until } : {}) };
      await post("banned", ban);
    }
    onDone();
  };
  const many = (known?.length ?? 0) > 1;
  return (
    <FormDialog title={many ? `Ban ${known?.length} clients` : "Ban"} action="Ban" danger onClose={onClose} onSubmit={submit}>
      {!known && (
        <Select label="By" value={as} onChange={(value) => setAs(value as BanOn)} options={[["clientid", "client id"], ["username", "user"], ["peerhost", "IP address"]]} />
      )}
      {!many && <Input label="Whom" mono value={who} onInput={setWho} required autoFocus={!known} />}
      <Select label="For" value={span} onChange={setSpan} options={SPANS} />
      <Input label="Reason (optional)" value={reason} onInput={setReason} autoFocus={known !== undefined} />
    </FormDialog>
  );
}
