// A list in pieces: filters and page are in the address, sorting and paging are the server's.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { get, type Query } from "../api/client";
import { offered } from "../api/offered";
import type { Meta, Rows } from "../api/types";
import { number } from "../lib/format";
import { place, setQuery } from "../router";
import { Button } from "./button";
import { Select } from "./form";
import { Icon, type IconName } from "./icon";
import { type Loaded, useLoad } from "./load";
import { Empty, Shown } from "./states";
import { type Column, Table } from "./table";

/** The page's filters, from the address. */
export function useFilters(names: string[]): Record<string, string> {
  const { query } = place.value;
  return Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""]));
}

const LIMITS = ["25", "50", "100", "500"];

export interface Listing<T> extends Loaded<Rows<T>> {
  page: number;
  limit: number;
  sort: string | undefined;
  /** Whether the server sorts this list. */
  sorts: boolean;
  back: (() => void) | undefined;
  on: (() => void) | undefined;
}

/** One page of a list of the API: by its number, or by the server's cursor where it has one. What the
 * server does not take is not sent to it. */
export function useList<T>(path: string, filters: Query = {}, every?: number, usual = 50): Listing<T> {
  const { query } = place.value;
  const known = offered[path];
  const takes = (name: string) => known === undefined || known.includes(name);
  const limit = Number(query.get("limit")) || usual;
  const sort = takes("sort") ? (query.get("sort") ?? undefined) : undefined;
  // A list that goes on by a cursor may have pages when it is asked for in order.
  const pieces = (known?.includes("cursor") ?? false) && !(sort && known?.includes("page"));
  const wanted = Object.fromEntries(Object.entries({ ...filters, limit, sort }).filter(([name]) => takes(name)));
  const key = `${path} ${JSON.stringify(wanted)}`;
  // Cursors lead on only: those that led here are kept for the way back.
  const [trail, setTrail] = useState<{ key: string; cursors: string[] }>({ key, cursors: [] });
  const cursors = trail.key === key ? trail.cursors : [];
  const page = pieces ? cursors.length + 1 : Math.max(1, Number(query.get("page")) || 1);
  const all: Query = pieces ? { ...wanted, cursor: cursors.at(-1) } : takes("page") ? { ...wanted, page } : wanted;
  const loaded = useLoad<Rows<T>>((signal) => get(path, all, { signal }), [path, JSON.stringify(all)], every ? { every } : {});

  const meta = loaded.value?.meta;
  const more = meta?.hasnext ?? (meta?.count !== undefined && page * limit < meta.count);
  const { cursor } = meta ?? {};
  const turn = (to: number) => () => setQuery({ page: to > 1 ? String(to) : undefined });
  const back = pieces ? () => setTrail({ key, cursors: cursors.slice(0, -1) }) : turn(page - 1);
  const on = pieces ? () => setTrail({ key, cursors: [...cursors, String(cursor)] }) : turn(page + 1);
  const leads = more && (!pieces || (cursor !== undefined && cursor !== null));
  return { ...loaded, page, limit, sort, sorts: takes("sort"), back: page > 1 ? back : undefined, on: leads ? on : undefined };
}

function Pager<T>({ of, meta, shown }: { of: Listing<T>; meta: Meta; shown: number }) {
  const { page, limit } = of;
  const first = shown ? (page - 1) * limit + 1 : 0;
  const counted = meta.count !== undefined && meta.count >= 0;
  return (
    <nav class="pager" aria-label="Pages">
      <span class="pager-count">
        {counted ? (
          <>
            {number(first)}–{number(first ? first + shown - 1 : 0)} of {number(meta.count)}
          </>
        ) : (
          `${number(shown)} shown`
        )}
      </span>
      <span class="grow" />
      <Select label="Rows" hideLabel value={String(limit)} onChange={(value) => setQuery({ limit: value, page: undefined })} options={LIMITS.map((n) => [n, `${n} rows`])} />
      <Button icon="left" title="Previous page" small disabled={!of.back} onClick={() => of.back?.()} />
      <span class="pager-page">{number(page)}</span>
      <Button icon="right" title="Next page" small disabled={!of.on} onClick={() => of.on?.()} />
    </nav>
  );
}

interface Props<T> {
  of: Listing<T>;
  columns: Column<T>[];
  id: (row: T) => string;
  href?: (row: T) => string;
  label: string;
  empty: { icon?: IconName; title: string; words?: ComponentChildren };
  chosen?: Set<string>;
  onChoose?: (chosen: Set<string>) => void;
  tone?: (row: T) => string | undefined;
}

/** The table of a list, with its pager and its states. */
export function List<T>({ of, columns, id, href, label, empty, chosen, onChoose, tone }: Props<T>) {
  return (
    <Shown of={of} lines={10}>
      {({ data, meta }) =>
        data.length === 0 && !of.back && !of.on ? (
          <Empty icon={empty.icon ?? "info"} title={empty.title}>
            {empty.words}
          </Empty>
        ) : (
          <>
            {of.error && (
              <div class="stale" role="status">
                <Icon name="warning" /> Not up to date: the server does not answer.
              </div>
            )}
            <Table
              columns={columns}
              rows={data.slice(0, of.limit)}
              id={id}
              href={href}
              label={label}
              sort={of.sort}
              {...(of.sorts ? { onSort: (sort: string | undefined) => setQuery({ sort, page: undefined }) } : {})}
              chosen={chosen}
              {...(onChoose ? { onChoose } : {})}
              {...(tone ? { tone } : {})}
            />
            <Pager of={of} meta={meta ?? {}} shown={Math.min(data.length, of.limit)} />
          </>
        )
      }
    </Shown>
  );
}

/** Which of the columns that can be hidden the user wants, kept by the browser. */
export function useColumns<T>(key: string, all: Column<T>[], hidden: string[], rows: T[]): [Column<T>[], ComponentChildren] {
  // A column of which the server says nothing is no column.
  const columns = all.filter((column) => !column.known || rows.length === 0 || rows.some(column.known));
  const name = `nightjar.columns.${key}`;
  const [off, setOff] = useState<string[]>(() => {
    const saved = localStorage.getItem(name);
    return saved === null ? hidden : saved.split("\n").filter(Boolean);
  });
  const turn = (title: string, on: boolean) => {
    const next = on ? off.filter((one) => one !== title) : [...off, title];
    localStorage.setItem(name, next.join("\n"));
    setOff(next);
  };
  const chooser = (
    <details class="menu">
      <summary class="button">
        <Icon name="columns" />
        <span>Columns</span>
      </summary>
      <div class="menu-body">
        {columns
          .filter((column) => column.optional)
          .map((column) => (
            <label key={column.title}>
              <input type="checkbox" checked={!off.includes(column.title)} onChange={(event) => turn(column.title, event.currentTarget.checked)} />
              {column.title}
            </label>
          ))}
      </div>
    </details>
  );
  return [columns.filter((column) => !column.optional || !off.includes(column.title)), chooser];
}
