import { remove } from "../../api/client";
import type { Alarm } from "../../api/types";
import { ago, duration, number, time } from "../../lib/format";
import type { Page } from "../../pages";
import { place, setQuery } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { Tabs } from "../../ui/form";
import { Badge, Card, Head } from "../../ui/layout";
import { List, useList } from "../../ui/list";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";
import { tone } from "./tone";

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
          id={(row) => `${row.name} ${row.about} ${row.activate_at}`}
          empty={{ icon: "check", title: past ? "No alarm has been" : "All is well", words: past ? undefined : "No alarm is active." }}
          columns={[
            { title: "Alarm", cell: (row) => <Badge tone={tone(row)}><Text v={row.name.replaceAll("_", " ")} /></Badge> },
            { title: "About", cell: (row) => <Text mono v={row.about} /> },
            { title: "Message", wide: true, cell: (row) => <Text v={row.message} /> },
            { title: "Raised", cell: (row) => <span title={time(row.activate_at)}>{ago(row.activate_at)}</span> },
            { title: "Again", cell: (row) => (row.count > 1 ? <span title={time(row.last_at)}>{number(row.count)} times, {ago(row.last_at)}</span> : <Text v={null} />) },
            { title: "Lasted", end: true, cell: (row) => duration((row.deactivate_at ? new Date(row.deactivate_at).getTime() : Date.now()) - new Date(row.activate_at).getTime()) },
          ]}
        />
      </Card>
    </>
  );
}

export const page: Page = { path: "/alarms", title: "Alarms", icon: "alarm", section: "Diagnose", order: 4, key: "a", view: View };
