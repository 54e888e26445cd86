import { useState } from "preact/hooks";
import { piece, remove } from "../../api/client";
import type { Ban } from "../../api/types";
import { ago, time } from "../../lib/format";
import type { Page } from "../../pages";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { Badge, Card, Head } from "../../ui/layout";
import { List, useList } from "../../ui/list";
import { Text } from "../../ui/text";
import { attempt, told } from "../../ui/toast";
import { BanDialog } from "./dialog";

const KINDS: Record<Ban["as"], string> = { clientid: "client id", username: "user", peerhost: "IP address" };

function View() {
  const listing = useList<Ban>("banned");
  const [adding, setAdding] = useState(false);
  const lift = (ban: Ban) => void attempt(() => remove(`banned/${ban.as}/${piece(ban.who)}`), "Lifted").then(listing.reload);
  return (
    <>
      <Head title="Bans" hint="Who is not let in, and is disconnected at once.">
        {may("operator") && (
          <Button icon="ban" kind="primary" onClick={() => setAdding(true)}>
            Ban
          </Button>
        )}
      </Head>
      <Card flush>
        <List
          of={listing}
          label="Bans"
          id={(row) => `${row.as} ${row.who}`}
          empty={{ icon: "check", title: "Nobody is banned" }}
          columns={[
            { title: "Who", wide: true, cell: (row) => <Text mono v={row.who} /> },
            { title: "By", cell: (row) => <Badge>{KINDS[row.as]}</Badge> },
            { title: "Reason", cell: (row) => <Text v={row.reason} /> },
            { title: "Since", cell: (row) => <span title={time(row.at)}>{ago(row.at)}</span> },
            { title: "Until", cell: (row) => (row.until === "infinity" ? "for good" : <span title={time(row.until)}>{ago(row.until)}</span>) },
            { title: "Made by", cell: (row) => <Text v={row.by} /> },
            { title: "", end: true, cell: (row) => may("operator") && <Button small onClick={() => lift(row)}>Lift</Button> },
          ]}
        />
      </Card>
      {adding && <BanDialog onClose={() => setAdding(false)} onDone={() => (told("Banned"), listing.reload())} />}
    </>
  );
}

export const page: Page = { path: "/bans", title: "Bans", icon: "ban", section: "Access", order: 5, key: "b", view: View };
