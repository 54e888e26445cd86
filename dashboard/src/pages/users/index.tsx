import { useState } from "preact/hooks";
import { piece, remove } from "../../api/client";
import type { Group, User } from "../../api/types";
import { ago, number, time } from "../../lib/format";
import type { Page } from "../../pages";
import { place, setQuery } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { confirm } from "../../ui/dialog";
import { Filters, Search, Tabs } from "../../ui/form";
import { Badge, Card, Head } from "../../ui/layout";
import { List, useFilters, useList } from "../../ui/list";
import { Text } from "../../ui/text";
import { GroupDialog, ImportDialog, UserDialog } from "./dialogs";

export const Chips = ({ of }: { of: string[] }) =>
  of.length ? (
    <span class="chips">
      {of.map((name) => (
        <Badge key={name}>
          <Text v={name} />
        </Badge>
      ))}
    </span>
  ) : (
    <Text v={null} />
  );

function View() {
  const groups = place.value.query.get("tab") === "groups";
  return (
    <>
      <Head title="Users" hint="MQTT users of the built-in database, and the groups that give them roles." />
      <div class="page-tabs">
        <Tabs label="Parts" value={groups ? "groups" : "users"} onChange={(key) => setQuery({ tab: key === "groups" ? key : undefined, page: undefined })} tabs={[["users", "Users"], ["groups", "Groups"]]} />
      </div>
      {groups ? <Groups /> : <Users />}
    </>
  );
}

function Users() {
  const filters = useFilters(["like_user_id", "group"]);
  const listing = useList<User>("authentication/database/users", filters);
  const [open, setOpen] = useState<User | "new" | "import">();
  const drop = (user: User) =>
    confirm({
      title: "Remove this user?",
      words: <>
        <Text v={user.user_id} /> cannot connect any more.
      </>,
      action: "Remove",
      done: "Removed",
      act: async () => {
        await remove(`authentication/database/users/${piece(user.user_id)}`);
        listing.reload();
      },
    });
  return (
    <>
      <Filters>
        <Search main label="User" value={filters["like_user_id"] ?? ""} onSearch={(value) => setQuery({ like_user_id: value, page: undefined })} />
        <Search label="Group" value={filters["group"] ?? ""} onSearch={(value) => setQuery({ group: value, page: undefined })} />
        <span class="grow" />
        {may("admin") && (
          <>
            <Button icon="backup" onClick={() => setOpen("import")}>
              Import
            </Button>
            <Button icon="plus" kind="primary" onClick={() => setOpen("new")}>
              New user
            </Button>
          </>
        )}
      </Filters>
      <Card flush>
        <List
          of={listing}
          label="Users"
          id={(row) => row.user_id}
          empty={{ icon: "people", title: "No users", words: "The database is empty, or nobody is like what you look for." }}
          columns={[
            { title: "User", wide: true, cell: (row) => <Text mono v={row.user_id} /> },
            { title: "Roles", cell: (row) => <Chips of={row.roles} /> },
            { title: "Groups", cell: (row) => <Chips of={row.groups} /> },
            { title: "State", cell: (row) => <span class="row">{row.disabled ? <Badge tone="bad">disabled</Badge> : <Badge tone="good">enabled</Badge>}{row.is_superuser && <Badge tone="warn">superuser</Badge>}</span> },
            { title: "Changed", cell: (row) => <span title={time(row.changed_at)}>{ago(row.changed_at)}</span> },
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
      {open === "import" && <ImportDialog onClose={() => setOpen(undefined)} onDone={listing.reload} />}
      {open && open !== "import" && <UserDialog {...(open === "new" ? {} : { user: open })} onClose={() => setOpen(undefined)} onDone={listing.reload} />}
    </>
  );
}

function Groups() {
  const listing = useList<Group>("authorization/groups");
  const [open, setOpen] = useState<Group | "new">();
  const drop = (group: Group) =>
    confirm({
      title: "Remove this group?",
      words: <>
        Its members lose what <Text v={group.name} /> gave them.
      </>,
      action: "Remove",
      done: "Removed",
      act: async () => {
        await remove(`authorization/groups/${piece(group.name)}`);
        listing.reload();
      },
    });
  return (
    <>
      <Filters>
        <span class="grow" />
        {may("admin") && (
          <Button icon="plus" kind="primary" onClick={() => setOpen("new")}>
            New group
          </Button>
        )}
      </Filters>
      <Card flush>
        <List
          of={listing}
          label="Groups"
          id={(row) => row.name}
          empty={{ icon: "people", title: "No groups" }}
          columns={[
            { title: "Group", wide: true, cell: (row) => <Text v={row.name} /> },
            { title: "Roles", cell: (row) => <Chips of={row.roles} /> },
            { title: "Members", end: true, cell: (row) => number(row.members) },
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
      {open && <GroupDialog {...(open === "new" ? {} : { group: open })} onClose={() => setOpen(undefined)} onDone={listing.reload} />}
    </>
  );
}

export const page: Page = { path: "/users", title: "Users and groups", icon: "people", section: "Access", order: 2, key: "u", view: View };
