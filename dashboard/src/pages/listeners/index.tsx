import { get } from "../../api/client";
import type { CertificateRow, Listener, Rows } from "../../api/types";
import { number, time } from "../../lib/format";
import type { Page } from "../../pages";
import { Badge, Bar, Card, Head, type Tone } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";

const DAY = 86_400_000;

const left = (days: number): Tone => (days < 0 ? "bad" : days < 14 ? "bad" : days < 30 ? "warn" : "good");

function Days({ days }: { days: number }) {
  return <Badge tone={left(days)}>{days < 0 ? `expired ${-days} days ago` : `${days} days left`}</Badge>;
}

function View() {
  const loaded = useLoad<{ data: Listener[] }>((signal) => get("listeners", undefined, { signal }), [], { every: 5000 });
  return (
    <>
      <Head title="Listeners and certificates" hint="The doors of the server, and how long their certificates hold." />
      <div class="stack">
        <Card flush title="Listeners">
          <Shown of={loaded}>
            {({ data }) => (
              <Table
                label="Listeners"
                rows={data}
                id={(row) => row.name}
                columns={[
                  { title: "Listener", cell: (row) => <Text v={row.name} /> },
                  { title: "Protocol", cell: (row) => <Badge tone="info"><Text v={row.protocol} /></Badge> },
                  { title: "Address", cell: (row) => <Text mono v={row.address} /> },
                  {
                    title: "Connections",
                    wide: true,
                    cell: (row) => (
                      <>
                        {number(row.connections)}
                        {row.max_connections ? <> of {number(row.max_connections)}<Bar of={row.connections / row.max_connections} tone={row.connections / row.max_connections > 0.9 ? "bad" : "info"} /></> : null}
                      </>
                    ),
                  },
                  { title: "Accepted", end: true, cell: (row) => number(row.accepted) },
                  { title: "Refused", end: true, cell: (row) => <span class={row.refused ? "warn-text" : ""}>{number(row.refused)}</span> },
                  { title: "Failed handshakes", end: true, cell: (row) => <span class={row.failed_handshakes ? "warn-text" : ""}>{number(row.failed_handshakes)}</span> },
                ]}
              />
            )}
          </Shown>
        </Card>
        <Card flush title="Certificates">
          <Certificates listeners={loaded.value?.data ?? []} />
        </Card>
      </div>
    </>
  );
}

/** What the server says of its certificates; else what its listeners say of theirs. */
function Certificates({ listeners }: { listeners: Listener[] }) {
  const loaded = useLoad<CertificateRow[] | Rows<CertificateRow>>((signal) => get("certificates", undefined, { signal }), []);
  const own = listeners.flatMap((listener) =>
    listener.certificates.map(
      (certificate): CertificateRow => ({
        ...certificate,
        listener: listener.name,
        days_left: Math.floor((new Date(certificate.not_after).getTime() - Date.now()) / DAY),
        source: "file",
      }),
    ),
  );
  const rows = loaded.value ? (Array.isArray(loaded.value) ? loaded.value : loaded.value.data) : own;
  if (!rows.length) return <Empty icon="shield" title="No certificates">No listener speaks TLS.</Empty>;
  return (
    <Table
      label="Certificates"
      rows={[...rows].sort((a, b) => a.days_left - b.days_left)}
      id={(row) => `${row.listener} ${row.fingerprint}`}
      columns={[
        { title: "Subject", cell: (row) => <Text v={row.subject} /> },
        { title: "Listener", cell: (row) => <Text v={row.listener} /> },
        { title: "Names", wide: true, cell: (row) => <Text mono v={row.sans.join(", ")} /> },
        { title: "Issuer", cell: (row) => <Text v={row.issuer} /> },
        { title: "From", cell: (row) => <Badge><Text v={row.source} /></Badge> },
        { title: "Expires", cell: (row) => time(row.not_after) },
        { title: "", cell: (row) => <Days days={row.days_left} /> },
        { title: "Fingerprint", cell: (row) => <span title={row.fingerprint}><Text mono v={`${row.fingerprint.slice(0, 16)}…`} /></span> },
      ]}
    />
  );
}

export const page: Page = { path: "/listeners", title: "Listeners", icon: "listener", section: "Server", order: 1, key: "l", view: View };
