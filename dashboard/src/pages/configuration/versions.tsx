import { get, post } from "../../api/client";
import type { ConfigVersion, Rows } from "../../api/types";
import { ago, time } from "../../lib/format";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm } from "../../ui/dialog";
import { Card } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";

export function Versions({ reload }: { reload: () => void }) {
  const loaded = useLoad<ConfigVersion[] | Rows<ConfigVersion>>((signal) => get("configs/versions", undefined, { signal }), []);
  const back = (version: ConfigVersion["version"]) =>
    confirm({
      title: `Roll back to version ${version}?`,
      words: "It is checked and applied like any other change; what holds now is kept as a version.",
      action: "Roll back",
      done: "Rolled back",
      act: async () => {
        await post("configs/rollback", { version });
        loaded.reload();
        reload();
      },
    });
  return (
    <Card flush>
      <Shown of={loaded}>
        {(answer) => {
          const rows = Array.isArray(answer) ? answer : answer.data;
          if (!rows.length) return <Empty icon="config" title="No earlier versions">They begin with the first change that is applied here.</Empty>;
          return (
            <Table
              label="Versions"
              rows={rows.slice(0, 100)}
              id={(row) => String(row.version)}
              columns={[
                { title: "Version", cell: (row) => <Text mono v={row.version} /> },
                { title: "Replaced", cell: (row) => <>{time(row.at)} <span class="hint">{ago(row.at)}</span></> },
                { title: "By", cell: (row) => <Text v={row.by} /> },
                { title: "Note", wide: true, cell: (row) => <Text v={row.note} /> },
                { title: "", end: true, cell: (row) => may("admin") && <Button small onClick={() => back(row.version)}>Roll back</Button> },
              ]}
            />
          );
        }}
      </Shown>
    </Card>
  );
}
