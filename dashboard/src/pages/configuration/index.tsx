import { useState } from "preact/hooks";
import { get } from "../../api/client";
import type { Configs } from "../../api/types";
import type { Page } from "../../pages";
import { place, setQuery } from "../../router";
import { Filters, Search, Tabs } from "../../ui/form";
import { Badge, Card, Head, type Tone } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Table } from "../../ui/table";
import { Text } from "../../ui/text";
import { Editor } from "./editor";
import { Versions } from "./versions";

const source = (of: string): Tone => (of.startsWith("file") ? "info" : of.startsWith("env") ? "warn" : of.startsWith("flag") ? "good" : "plain");
const MOST = 500;

function View() {
  const loaded = useLoad<Configs>((signal) => get("configs", undefined, { signal }), []);
  const tab = place.value.query.get("tab") ?? "values";
  return (
    <>
      <Head title="Configuration" hint="What holds now, and where each value comes from." />
      <div class="page-tabs">
        <Tabs
          label="Parts"
          value={tab}
          onChange={(key) => setQuery({ tab: key === "values" ? undefined : key })}
          tabs={[
            ["values", "Values"],
            ["edit", "Check and apply"],
            ["versions", "Roll back"],
          ]}
        />
      </div>
      <Shown of={loaded} lines={12}>
        {(configs) => {
          if (tab === "edit") return <Editor configs={configs} reload={loaded.reload} />;
          if (tab === "versions") return <Versions reload={loaded.reload} />;
          return <Values configs={configs} />;
        }}
      </Shown>
    </>
  );
}

function Values({ configs }: { configs: Configs }) {
  const [search, setSearch] = useState("");
  const [changed, setChanged] = useState("all");
  const rows = configs.values.filter((row) => `${row.key} ${row.value}`.toLowerCase().includes(search.toLowerCase()) && (changed === "all" || row.source !== "default"));
  return (
    <>
      <Filters>
        <Search main label="Key or value" value={search} onSearch={setSearch} />
        <Tabs label="Which" value={changed} onChange={setChanged} tabs={[["all", "All"], ["set", "Not the default"]]} />
      </Filters>
      <Card flush>
        {rows.length ? (
          <Table
            label="Values"
            rows={rows.slice(0, MOST)}
            id={(row) => row.key}
            columns={[
              { title: "Key", cell: (row) => <Text mono v={row.key} /> },
              { title: "Value", wide: true, cell: (row) => <Text mono v={row.value} /> },
              { title: "From", cell: (row) => <Badge tone={source(row.source)}><Text v={row.source} /></Badge> },
            ]}
          />
        ) : (
          <Empty icon="search" title="No such key" />
        )}
      </Card>
    </>
  );
}

export const page: Page = { path: "/configuration", title: "Configuration", icon: "config", section: "Server", order: 3, role: "viewer", key: "f", view: View };
