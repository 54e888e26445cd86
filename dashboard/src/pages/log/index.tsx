import { get, put } from "../../api/client";
import type { Page } from "../../pages";
import { may } from "../../state/session";
import { Tabs } from "../../ui/form";
import { Badge, Card, Head } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Shown } from "../../ui/states";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";

const LEVELS: [string, string][] = [
  ["error", "Something does not work, and somebody has to act."],
  ["warn", "Something is odd, and the server goes on."],
  ["info", "What an operator wants to know of a normal day."],
  ["debug", "Each connection, each refusal."],
  ["trace", "Everything. It costs time: not for a busy server."],
];

function View() {
  const loaded = useLoad<{ level: string }>((signal) => get("log/level", undefined, { signal }), []);
  const set = (level: string) => void attempt(() => put("log/level", { level }), `The log is at ${level}`).then(loaded.reload);
  return (
    <>
      <Head title="Log level" hint="How much the server writes into its log, from now until it restarts." />
      <Card>
        <Shown of={loaded} lines={3}>
          {({ level }) => (
            <div class="stack">
              {may("admin") ? <Tabs label="Level" value={level} onChange={set} tabs={LEVELS.map(([name]) => [name, name])} /> : <span><Badge tone="info"><Text v={level} /></Badge></span>}
              <p>{LEVELS.find(([name]) => name === level)?.[1]}</p>
            </div>
          )}
        </Shown>
      </Card>
    </>
  );
}

export const page: Page = { path: "/log", title: "Log level", icon: "log", section: "Server", order: 4, view: View };
