import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../api/client";
import type { Listener } from "../../api/types";
import { time } from "../../lib/format";
import { bestView, shown } from "../../lib/payload";
import type { Page } from "../../pages";
import { Button } from "../../ui/button";
import { Area, Check, Input, Select } from "../../ui/form";
import { Badge, Card, Dot, Head } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty } from "../../ui/states";
import { Text } from "../../ui/text";
import { told } from "../../ui/toast";
import type { Connected, Received } from "./connection";
import { forget, remembered, remember, type Saved } from "./saved";

const MOST = 200;
type Stage = "off" | "connecting" | "on";

function View() {
  const [saved, setSaved] = useState<Saved>(remembered);
  const [password, setPassword] = useState("");
  const [stage, setStage] = useState<Stage>("off");
  const [error, setError] = useState<string>();
  const [messages, setMessages] = useState<Received[]>([]);
  const link = useRef<Connected | undefined>(undefined);
  useAddress(saved, setSaved);
  useEffect(() => () => link.current?.end(), []);
  const set = (part: Partial<Saved>) => setSaved({ ...saved, ...part });

  const connect = async (event: Event) => {
    event.preventDefault();
    setStage("connecting");
    setError(undefined);
    remember(saved);
    try {
      // The library comes only now: nobody else has to load it.
      const { connect: open } = await import("./connection");
      link.current = open({ ...saved, password }, {
        onStage: (next, why) => {
          setStage(next);
          if (why) setError(why);
        },
        onMessage: (message) => setMessages((before) => [message, ...before].slice(0, MOST)),
      });
    } catch (caught) {
      setStage("off");
      setError(String(caught));
    }
  };
  return (
    <>
      <Head title="Test client" hint="An MQTT client in this browser, over WebSocket. Its password is not kept.">
        <Dot tone={stage === "on" ? "good" : stage === "connecting" ? "warn" : "plain"} label={stage === "on" ? "connected" : stage === "connecting" ? "connecting" : "not connected"} />
      </Head>
      <div class="side-by-side">
        <div class="stack">
          <Card title="Connection" aside={<Button kind="quiet" small onClick={() => (forget(), told("Forgotten"))}>Forget what is saved</Button>}>
            <form class="form" onSubmit={connect}>
              <Input label="Address" mono value={saved.url} onInput={(url) => set({ url })} required placeholder="ws://127.0.0.1:8083/mqtt" />
              <div class="form-row">
                <Input label="Client id" mono value={saved.clientid} onInput={(clientid) => set({ clientid })} placeholder="chosen by the server" />
                <Select label="MQTT" value={saved.version} onChange={(version) => set({ version })} options={[["5", "5.0"], ["4", "3.1.1"]]} />
              </div>
              <div class="form-row">
                <Input label="User" value={saved.username} onInput={(username) => set({ username })} />
                <Input label="Password" type="password" value={password} onInput={setPassword} />
              </div>
              <div class="row">
                {/* Keys: else the one becomes the other while it is clicked. */}
                {stage === "off" ? (
                  <Button key="connect" submit kind="primary" icon="play">
                    Connect
                  </Button>
                ) : (
                  <Button key="end" icon="stop" onClick={() => link.current?.end()}>
                    Disconnect
                  </Button>
                )}
              </div>
              {error && (
                <p class="form-error" role="alert">
                  <Text v={error} />
                </p>
              )}
            </form>
          </Card>
          <Sending saved={saved} set={set} link={link.current} on={stage === "on"} />
        </div>
        <Card flush title="Messages" aside={<Button kind="quiet" small onClick={() => setMessages([])}>Clear</Button>}>
          {messages.length ? (
            <ol class="received">
              {messages.map((message) => (
                <li key={message.n}>
                  <span class="row">
                    <Text mono v={message.topic} />
                    <span class="grow" />
                    <Badge>QoS {message.qos}</Badge>
                    {message.retain && <Badge tone="info">retained</Badge>}
                    <span class="hint">{time(message.at)}</span>
                  </span>
                  <Text mono v={shown(message.payload, bestView(message.payload, message.topic)).slice(0, 2000)} />
                </li>
              ))}
            </ol>
          ) : (
            <Empty icon="socket" title="No messages">
              Connect and subscribe; the newest {MOST} are kept.
            </Empty>
          )}
        </Card>
      </div>
    </>
  );
}

/** An address to begin with: the server's own WebSocket listener, as this browser can reach it. */
function useAddress(saved: Saved, setSaved: (saved: Saved) => void): void {
  const { value } = useLoad<{ data: Listener[] }>((signal) => get("listeners", undefined, { signal, quiet: true }), []);
  useEffect(() => {
    const found = value?.data.find((listener) => listener.protocol === "ws" || listener.protocol === "wss");
    if (!found || saved.url) return;
    const port = /:(\d+)$/.exec(found.address)?.[1];
    if (port) setSaved({ ...saved, url: `${found.protocol}://${location.hostname}:${port}/mqtt` });
  }, [value]);
}

interface SendingProps {
  saved: Saved;
  set: (part: Partial<Saved>) => void;
  link: Connected | undefined;
  on: boolean;
}

function Sending({ saved, set, link, on }: SendingProps) {
  const [payload, setPayload] = useState("");
  const [qos, setQos] = useState("0");
  const [retain, setRetain] = useState(false);
  const run = async (act: Promise<string>) => {
    try {
      told(await act);
    } catch (caught) {
      told(caught instanceof Error ? caught.message : String(caught), true);
    }
  };
  const level = Number(qos) as 0 | 1 | 2;
  return (
    <>
      <Card title="Subscribe">
        <form class="form" onSubmit={(event) => (event.preventDefault(), link && void run(link.subscribe(saved.filter, level)))}>
          <Input label="Filter" mono value={saved.filter} onInput={(filter) => set({ filter })} required />
          <div class="row">
            <Button submit disabled={!on}>
              Subscribe
            </Button>
            <Button disabled={!on} onClick={() => link && void run(link.unsubscribe(saved.filter))}>
              Unsubscribe
            </Button>
          </div>
        </form>
      </Card>
      <Card title="Publish">
        <form class="form" onSubmit={(event) => (event.preventDefault(), link && void run(link.publish(saved.topic, payload, level, retain)))}>
          <Input label="Topic" mono value={saved.topic} onInput={(topic) => set({ topic })} required />
          <Area label="Payload" value={payload} onInput={setPayload} rows={3} />
          <div class="form-row">
            <Select label="QoS" value={qos} onChange={setQos} options={[["0", "0"], ["1", "1"], ["2", "2"]]} />
            <Check label="Retain" value={retain} onChange={setRetain} />
            <Button submit kind="primary" icon="send" disabled={!on}>
              Publish
            </Button>
          </div>
        </form>
      </Card>
    </>
  );
}

export const page: Page = { path: "/test-client", title: "Test client", icon: "socket", section: "Tools", order: 1, key: "w", view: View };
