import { useState } from "preact/hooks";
import { ask } from "../../api/client";
import { Button } from "../../ui/button";
import { Area, Check, Input, Select } from "../../ui/form";
import { Card } from "../../ui/layout";
import { told } from "../../ui/toast";

export function Publish({ topic: first }: { topic: string }) {
  const [topic, setTopic] = useState(first);
  const [payload, setPayload] = useState("");
  const [qos, setQos] = useState("0");
  const [encoding, setEncoding] = useState("plain");
  const [retain, setRetain] = useState(false);
  const [busy, setBusy] = useState(false);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const body = { topic, payload, payload_encoding: encoding, qos: Number(qos), retain };
      const response = await ask("POST", "publish", { body });
      told(response.status === 202 ? "Published; nobody is subscribed to it" : "Published");
    } catch (error) {
      told(error instanceof Error ? error.message : String(error), true);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card title="Publish">
      <form class="form" onSubmit={send}>
        <Input label="Topic" mono value={topic} onInput={setTopic} required />
        <Area label="Payload" value={payload} onInput={setPayload} rows={3} />
        <div class="form-row">
          <Select label="QoS" value={qos} onChange={setQos} options={[["0", "0"], ["1", "1"], ["2", "2"]]} />
          <Select label="The payload is" value={encoding} onChange={setEncoding} options={[["plain", "text"], ["base64", "base64"]]} />
          <Check label="Retain" value={retain} onChange={setRetain} />
          <Button submit kind="primary" icon="send" busy={busy}>
            Publish
          </Button>
        </div>
      </form>
    </Card>
  );
}
