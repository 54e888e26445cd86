import { useEffect, useState } from "preact/hooks";
import { post } from "../../api/client";
import type { Explained, ExplainRequest } from "../../api/types";
import { plural } from "../../lib/format";
import type { Page } from "../../pages";
import { place, setQuery } from "../../router";
import { Button } from "../../ui/button";
import { Check, Input, Select } from "../../ui/form";
import { Badge, Card, Facts, Head, type Tone } from "../../ui/layout";
import { Empty, Failure } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { ClientLink } from "../subscriptions";
import { Chips } from "../users";

const VERDICTS: Record<Explained["decision"], [string, Tone]> = {
  allow: ["Allowed", "good"],
  partly: ["Allowed in part", "warn"],
  deny: ["Denied", "bad"],
};

const OUTCOMES: Record<Explained["steps"][number]["outcome"], string> = {
  other_client: "is about other clients",
  other_action: "is about something else",
  allows_part: "allows a part",
  denies_part: "denies a part",
  decides: "decides",
};

const GETS: Record<Explained["routing"][number]["gets"], [string, Tone]> = {
  now: ["now", "good"],
  later: ["later", "info"],
  away: ["when it is back", "warn"],
  denied: ["denied", "bad"],
};

function View() {
  const { query } = place.value;
  const [clientid, setClientid] = useState(query.get("clientid") ?? "");
  const [username, setUsername] = useState(query.get("username") ?? "");
  const [topic, setTopic] = useState(query.get("topic") ?? "");
  const [action, setAction] = useState(query.get("action") ?? "publish");
  const [peer, setPeer] = useState("");
  const [qos, setQos] = useState("0");
  const [retain, setRetain] = useState(false);
  const [answer, setAnswer] = useState<Explained>();
  const [error, setError] = useState<Error>();
  const ask = async () => {
    const request: ExplainRequest = {
      clientid,
      topic,
      action: action as ExplainRequest["action"],
      qos: Number(qos),
      retain,
      ...(username ? { username } : {}),
      ...(peer ? { peerhost: peer } : {}),
    };
    setQuery({ clientid, username, topic, action });
    try {
      setAnswer(await post<Explained>("authorization/explain", request));
      setError(undefined);
    } catch (caught) {
      setError(caught as Error);
    }
  };
  useEffect(() => {
    if (clientid && (topic || action === "connect")) void ask();
  }, []);
  return (
    <>
      <Head title="Explain" hint="May this client do that? And which rule says so?" />
      <div class="side-by-side">
        <Card title="What if">
          <form class="form" onSubmit={(event) => (event.preventDefault(), void ask())}>
            <Input label="Client id" mono value={clientid} onInput={setClientid} required autoFocus />
            <Input label="User" mono value={username} onInput={setUsername} hint="Empty: as it is connected, or nobody." />
            <div class="form-row">
              <Select label="Wants to" value={action} onChange={setAction} options={[["publish", "publish"], ["subscribe", "subscribe"], ["connect", "connect"]]} />
              <Select label="QoS" value={qos} onChange={setQos} options={[["0", "0"], ["1", "1"], ["2", "2"]]} />
            </div>
            {action !== "connect" && <Input label={action === "publish" ? "Topic" : "Filter"} mono value={topic} onInput={setTopic} required />}
            <Input label="From address (optional)" mono value={peer} onInput={setPeer} placeholder="192.0.2.7" />
            {action === "publish" && <Check label="Retained" value={retain} onChange={setRetain} />}
            <div>
              <Button submit kind="primary" icon="explain">
                Explain
              </Button>
            </div>
          </form>
        </Card>
        {error ? (
          <Card>
            <Failure error={error} />
          </Card>
        ) : answer ? (
          <Answer answer={answer} />
        ) : (
          <Card>
            <Empty icon="explain" title="Ask">
              Nothing is published or subscribed by asking.
            </Empty>
          </Card>
        )}
      </div>
    </>
  );
}

function Answer({ answer }: { answer: Explained }) {
  const [verdict, tone] = VERDICTS[answer.decision];
  const { authentication: who } = answer;
  return (
    <div class="stack">
      <Card>
        <div class="verdict">
          <span class={`stat-value ${tone}`}>{verdict}</span>
          <p>
            {answer.ban ? (
              <>
                This client is banned: <Text v={answer.ban.reason || "no reason is given"} />
              </>
            ) : (
              <>
                <Text v={answer.why} />
                {answer.rule && answer.rule !== answer.why && (
                  <>
                    {" "}
                    (<Text mono v={answer.rule} />)
                  </>
                )}
              </>
            )}
          </p>
        </div>
      </Card>
      <Card title="Who it is" aside={<Badge tone={who.connected ? "good" : "plain"}>{who.connected ? "connected" : "not connected"}</Badge>}>
        <Facts
          of={[
            ["User", who.username],
            ["Admitted by", who.provider],
            ["Providers asked", who.asked.join(", ") || null],
            ["Roles", <Chips of={who.roles} />],
            ["Groups", <Chips of={who.groups} />],
            ["Superuser", who.is_superuser ? "yes" : "no"],
            ["Anonymous clients", who.anonymous_allowed ? "let in" : "refused"],
          ]}
        />
      </Card>
      {answer.steps.length > 0 && (
        <Card title="Rules, in the order that they are asked">
          <ol class="shape">
            {answer.steps.map((step, at) => (
              <li key={at} class={step.outcome === "decides" ? "strong" : "hint"}>
                <Badge tone={step.outcome === "decides" ? tone : "plain"}>{at + 1}</Badge>
                <span>
                  <Text mono v={step.rule} /> {OUTCOMES[step.outcome]}
                </span>
              </li>
            ))}
          </ol>
        </Card>
      )}
      {answer.limits.length > 0 && (
        <Card title="Limits">
          <Facts of={answer.limits.map((limit) => [limit.name, <span class={limit.exceeded ? "bad-text" : ""}><Text v={limit.value} /></span>])} />
        </Card>
      )}
      {answer.routing.length > 0 && (
        <Card flush title={`Who would get it: ${plural(answer.routing.length, "client")}${answer.routing_more ? ", and more" : ""}`}>
          <Table
            label="Receivers"
            rows={answer.routing.slice(0, 200)}
            id={(row) => `${row.clientid} ${row.share ?? ""}`}
            columns={[
              { title: "Client", wide: true, cell: (row) => <ClientLink id={row.clientid} /> },
              { title: "Gets it", cell: (row) => <Badge tone={GETS[row.gets][1]}>{GETS[row.gets][0]}</Badge> },
              { title: "QoS", cell: (row) => row.qos },
              { title: "Group", cell: (row) => <Text v={row.share} /> },
            ]}
          />
        </Card>
      )}
    </div>
  );
}

export const page: Page = { path: "/explain", title: "Explain", icon: "explain", section: "Access", order: 4, key: "e", view: View };
