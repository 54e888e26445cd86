import { useState } from "preact/hooks";
import { piece, remove } from "../../api/client";
import type { Denial, MqttRole, Rule } from "../../api/types";
import { plural, time } from "../../lib/format";
import type { Page } from "../../pages";
import { place, setQuery, to } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm } from "../../ui/dialog";
import { Filters, Search, Select, Tabs } from "../../ui/form";
import { Icon } from "../../ui/icon";
import { Badge, Card, Head } from "../../ui/layout";
import { List, useFilters, useList } from "../../ui/list";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";
import { ClientLink } from "../subscriptions";
import { RoleDialog } from "./dialog";

function View() {
  const denials = place.value.query.get("tab") === "denials";
  return (
    <>
      <Head title="Authorization" hint="What a client may do: the first rule that fits decides, and where none fits the answer is no.">
        <a class="button" href={to("/explain")}>
          <Icon name="explain" />
          <span>Explain</span>
        </a>
      </Head>
      <div class="page-tabs">
        <Tabs label="Parts" value={denials ? "denials" : "roles"} onChange={(key) => setQuery({ tab: key === "denials" ? key : undefined, page: undefined })} tabs={[["roles", "Roles and rules"], ["denials", "Denials"]]} />
      </div>
      {denials ? <Denials /> : <Roles />}
    </>
  );
}

const words = (rule: Rule): string => ({ publish: "publish to", subscribe: "subscribe to", all: "publish and subscribe to" })[rule.action];

function Roles() {
  const listing = useList<MqttRole>("authorization/roles");
  const [open, setOpen] = useState<MqttRole | "new">();
  const drop = (role: MqttRole) =>
    confirm({
      title: "Remove this role?",
      words: <>
        Who has <Text v={role.name} /> loses its rules at once.
      </>,
      action: "Remove",
      done: "Removed",
      act: async () => {
        await remove(`authorization/roles/${piece(role.name)}`);
        listing.reload();
      },
    });
  return (
    <>
      <Filters>
        <span class="grow" />
        {may("admin") && (
          <Button icon="plus" kind="primary" onClick={() => setOpen("new")}>
            New role
          </Button>
        )}
      </Filters>
      <Card flush>
        <List
          of={listing}
          label="Roles"
          id={(row) => row.name}
          empty={{ icon: "shield", title: "No roles", words: "Rules may also stand in the configuration." }}
          columns={[
            { title: "Role", cell: (row) => <Text v={row.name} /> },
            {
              title: "Rules, in order",
              wide: true,
              cell: (row) => (
                <ol class="shape">
                  {row.rules.slice(0, 20).map((rule, at) => (
                    <li key={at}>
                      <Badge tone={rule.permission === "allow" ? "good" : "bad"}>{rule.permission}</Badge>
                      <span>
                        {words(rule)}{" "}
                        {[...(rule.topics ?? []), ...(rule.exact ?? []).map((topic) => `exactly ${topic}`)].map((topic, n) => (
                          <span key={topic}>
                            {n > 0 && ", "}
                            <Text mono v={topic} />
                          </span>
                        ))}
                        {rule.qos && <span class="hint"> QoS {rule.qos.join(", ")}</span>}
                        {rule.retain !== null && rule.retain !== undefined && <span class="hint"> {rule.retain ? "retained" : "not retained"}</span>}
                      </span>
                    </li>
                  ))}
                  {row.rules.length > 20 && <li class="hint">and {plural(row.rules.length - 20, "more rule")}</li>}
                </ol>
              ),
            },
            {
              title: "",
              end: true,
              cell: (row) =>
                may("admin") && (
                  <span class="row">
                    <Button icon="edit" kind="quiet" small title="Change" onClick={() => setOpen(row)} />
                    <Button icon="trash" kind="quiet" small title="Remove" onClick={() => drop(row)} />
                  </span>
                ),
            },
          ]}
        />
      </Card>
      {open && <RoleDialog {...(open === "new" ? {} : { role: open })} onClose={() => setOpen(undefined)} onDone={listing.reload} />}
    </>
  );
}

function Denials() {
  const filters = useFilters(["clientid", "username", "topic", "wanted"]);
  const listing = useList<Denial>("authorization/denials", filters, 3000);
  const set = (name: string) => (value: string) => setQuery({ [name]: value, page: undefined });
  const clear = () => void attempt(() => remove("authorization/denials"), "Forgotten").then(listing.reload);
  return (
    <>
      <Filters>
        <Search main label="Client id" value={filters["clientid"] ?? ""} onSearch={set("clientid")} />
        <Search label="User" value={filters["username"] ?? ""} onSearch={set("username")} />
        <Search label="Topic" value={filters["topic"] ?? ""} onSearch={set("topic")} />
        <Select hideLabel label="Wanted" value={filters["wanted"] ?? ""} onChange={set("wanted")} options={[["", "Anything"], ["connect", "Connect"], ["publish", "Publish"], ["subscribe", "Subscribe"]]} />
        <span class="grow" />
        {may("operator") && (
          <Button icon="trash" onClick={clear}>
            Forget all
          </Button>
        )}
      </Filters>
      <Card flush>
        <List
          of={listing}
          label="Denials"
          id={(row) => `${row.at} ${row.clientid} ${row.topic} ${row.wanted}`}
          empty={{ icon: "check", title: "Nobody was denied anything" }}
          columns={[
            { title: "When", cell: (row) => time(row.at) },
            { title: "Wanted", cell: (row) => <Badge tone="bad">{row.wanted}</Badge> },
            { title: "Client", cell: (row) => <ClientLink id={row.clientid} /> },
            { title: "User", cell: (row) => <Text v={row.username} /> },
            { title: "Topic", wide: true, cell: (row) => <Text mono v={row.topic} /> },
            { title: "Why", cell: (row) => <Text v={row.why} /> },
            { title: "From", cell: (row) => <Text mono v={row.peer} /> },
            {
              title: "",
              end: true,
              cell: (row) =>
                row.topic && row.clientid && row.wanted !== "connect" ? (
                  <a class="button quiet small" href={to("/explain", { clientid: row.clientid, username: row.username ?? undefined, topic: row.topic, action: row.wanted })}>
                    Explain
                  </a>
                ) : null,
            },
          ]}
        />
      </Card>
    </>
  );
}

export const page: Page = { path: "/authorization", title: "Authorization", icon: "shield", section: "Access", order: 3, key: "z", view: View };
