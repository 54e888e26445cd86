import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { Icon } from "./icon";

export interface Column<T> {
  title: string;
  cell: (row: T) => ComponentChildren;
  /** The server's name for sorting by it. */
  sort?: string;
  /** Numbers stand at the right. */
  end?: boolean;
  /** Takes what width is left, and cuts what is longer. */
  wide?: boolean;
  /** Whether the server says anything about it for a row. */
  known?: (row: T) => boolean;
  /** Can be hidden by the user. */
  optional?: boolean;
}

interface Props<T> {
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  /** Where a row leads to. */
  href?: ((row: T) => string) | undefined;
  sort?: string | undefined;
  onSort?: (sort: string | undefined) => void;
  chosen?: Set<string> | undefined;
  onChoose?: (chosen: Set<string>) => void;
  label: string;
  tone?: (row: T) => string | undefined;
}

export function Table<T>({ columns, rows, id, href, sort, onSort, chosen, onChoose, label, tone }: Props<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const all = [...(body.current?.rows ?? [])];
    const at = all.findIndex((row) => row.contains(document.activeElement));
    if (step) {
      event.preventDefault();
      all[Math.max(0, Math.min(all.length - 1, at + step))]?.focus();
    } else if (event.key === "Enter" && event.target instanceof HTMLTableRowElement && href) {
      const row = rows[at];
      if (row) location.hash = href(row);
    }
  };
  const choose = (key: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(key);
    else next.delete(key);
    onChoose?.(next);
  };
  const turn = (name: string) => onSort?.(sort === `-${name}` ? name : sort === name ? undefined : `-${name}`);
  return (
    <div class="table-frame">
      <table aria-label={label}>
        <thead>
          <tr>
            {onChoose && (
              <th class="pick">
                <input
                  type="checkbox"
                  aria-label="All on this page"
                  checked={rows.length > 0 && rows.every((row) => chosen?.has(id(row)))}
                  onChange={(event) => onChoose(new Set(event.currentTarget.checked ? rows.map(id) : []))}
                />
              </th>
            )}
            {columns.map((column) => (
              <th key={column.title} class={classes(column)} aria-sort={direction(column.sort, sort)}>
                {column.sort && onSort ? (
                  <button type="button" class="sort" onClick={() => turn(column.sort ?? "")}>
                    {column.title}
                    {sort === column.sort && <Icon name="up" size={12} />}
                    {sort === `-${column.sort}` && <Icon name="down" size={12} />}
                  </button>
                ) : (
                  column.title
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={move}>
          {rows.map((row, at) => (
            <tr
              key={id(row)}
              tabIndex={at === 0 ? 0 : -1}
              class={[href ? "leads" : "", tone?.(row) ?? ""].join(" ").trim() || undefined}
              onClick={(event) => {
                const target = event.target as HTMLElement;
                if (href && !target.closest("a,button,input,label") && !getSelection()?.toString()) location.hash = href(row);
              }}
            >
              {onChoose && (
                <td class="pick">
                  <input
                    type="checkbox"
                    aria-label="Choose"
                    checked={chosen?.has(id(row)) ?? false}
                    onChange={(event) => choose(id(row), event.currentTarget.checked)}
                  />
                </td>
              )}
              {columns.map((column) => (
                <td key={column.title} class={classes(column)} data-label={column.title || undefined}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const classes = <T,>(column: Column<T>): string | undefined =>
  [column.end ? "end" : "", column.wide ? "wide" : ""].join(" ").trim() || undefined;

const direction = (name: string | undefined, sort: string | undefined) =>
  !name ? undefined : sort === name ? "ascending" : sort === `-${name}` ? "descending" : undefined;
