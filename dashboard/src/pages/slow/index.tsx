import { remove } from "../../api/client";
import type { SlowSubscription } from "../../api/types";
import { ago, duration } from "../../lib/format";
import type { Page } from "../../pages";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { Bar, Card, Head } from "../../ui/layout";
import { List, useList } from "../../ui/list";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";
import { ClientLink } from "../subscriptions";

function View() {
  const listing = useList<SlowSubscription>("slow_subscriptions", {}, 3000);
  const most = Math.max(1, ...(listing.value?.data ?? []).map((row) => row.timespan_ms));
  const clear = () => void attempt(() => remove("slow_subscriptions"), "Forgotten").then(listing.reload);
  return (
    <>
      <Head title="Slow consumers" hint="Who takes longest from a message's arrival until it is acknowledged.">
        {may("operator") && (
          <Button icon="trash" onClick={clear}>
            Forget all
          </Button>
        )}
      </Head>
      <Card flush>
        <List
          of={listing}
          label="Slow consumers"
          id={(row) => `${row.clientid} ${row.topic}`}
          empty={{ icon: "slow", title: "Nobody is slow", words: "All messages are taken in time." }}
          columns={[
            { title: "Client", cell: (row) => <ClientLink id={row.clientid} /> },
            { title: "Topic", wide: true, cell: (row) => <Text mono v={row.topic} /> },
            { title: "Longest", cell: (row) => <Bar of={row.timespan_ms / most} tone={row.timespan_ms > 5000 ? "bad" : row.timespan_ms > 1000 ? "warn" : "info"} /> },
            { title: "Took", end: true, cell: (row) => duration(row.timespan_ms) },
            { title: "Last", end: true, cell: (row) => ago(row.last_update) },
          ]}
        />
      </Card>
    </>
  );
}

export const page: Page = { path: "/slow", title: "Slow consumers", icon: "slow", section: "Diagnose", order: 2, view: View };
