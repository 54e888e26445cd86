import { remove } from "../../api/client";
import type { Alarm } from "../../api/types";
import { ago, duration, time } from "../../lib/format";
import type { Page } from "../../pages";
import { place, setQuery } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { Tabs } from "../../ui/form";
import { Badge, Card, Head, type Tone } from "../../ui/layout";
import { List, useList } from "../../ui/list";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";

const TONES: Record<Alarm["severity"], Tone> = { info: "info", warning: "warn", critical: "bad" };

function View() {
  const past = place.value.query.get("tab") === "past";
  const listing = useList<Alarm>("alarms", { activated: !past }, 5000);
  const clear = () => void attempt(() => remove("alarms"), "Forgotten").then(listing.reload);
  return (
    <>
      <Head title="Alarms" hint="Raised and cleared by the server; also in its log and under $SYS.">
        {past && may("operator") && (
          <Button icon="trash" onClick={clear}>
            Forget the past
          </Button>
        )}
      </Head>
      <div class="page-tabs">
        <Tabs label="Which" value={past ? "past" : "now"} onChange={(key) => setQuery({ tab: key === "past" ? "past" : undefined, page: undefined })} tabs={[["now", "Active"], ["past", "Past"]]} />
      </div>
      <Card flush>
        <List
          of={listing}
          label="Alarms"
          id={(row) => `${row.name} ${row.activated_at}`}
          empty={{ icon: "check", title: past ? "No alarm has been" : "All is well", words: past ? undefined : "No alarm is active." }}
          columns={[
            { title: "Severity", cell: (row) => <Badge tone={TONES[row.severity] ?? "warn"}>{row.severity}</Badge> },
            { title: "Alarm", cell: (row) => <Text mono v={row.name} /> },
            { title: "Message", wide: true, cell: (row) => <Text v={row.message} /> },
            {
              title: "More",
              cell: (row) => (
                <span class="row">
                  {Object.entries(row.details ?? {}).map(([name, value]) => (
                    <span key={name} class="hint">
                      <Text v={name} /> <Text mono v={typeof value === "string" ? value : JSON.stringify(value)} />
                    </span>
                  ))}
                </span>
              ),
            },
            { title: "Raised", cell: (row) => <span title={time(row.activated_at)}>{ago(row.activated_at)}</span> },
            { title: "Lasted", end: true, cell: (row) => duration(row.duration_ms ?? Date.now() - new Date(row.activated_at).getTime()) },
          ]}
        />
      </Card>
    </>
  );
}

export const page: Page = { path: "/alarms", title: "Alarms", icon: "alarm", section: "Diagnose", order: 4, key: "a", view: View };
