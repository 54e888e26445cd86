// Which lines differ. Exact for a few thousand lines, coarse beyond: it never takes long.

export interface Line {
  kind: "same" | "gone" | "new";
  text: string;
}

const MOST = 4_000_000;

export function diff(before: string, after: string): Line[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const same = (text: string): Line => ({ kind: "same", text });
  return [
    ...a.slice(0, head).map(same),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(same),
  ];
}

function middle(a: string[], b: string[]): Line[] {
  const all: Line[] = [];
  if (a.length * b.length > MOST) {
    return [...a.map((text): Line => ({ kind: "gone", text })), ...b.map((text): Line => ({ kind: "new", text }))];
  }
  // The longest common subsequence, from the end.
  const width = b.length + 1;
  const best = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => best[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      best[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      all.push({ kind: "same", text: a[i] ?? "" });
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      all.push({ kind: "gone", text: a[i] ?? "" });
      i += 1;
    } else {
      all.push({ kind: "new", text: b[j] ?? "" });
      j += 1;
    }
  }
  return all;
}

/** Only what differs, with a few lines around it. */
export function hunks(lines: Line[], around = 2): (Line | null)[] {
  const keep = new Set<number>();
  for (const [at, line] of lines.entries()) {
    if (line.kind === "same") continue;
    for (let near = at - around; near <= at + around; near += 1) keep.add(near);
  }
  const out: (Line | null)[] = [];
  for (const [at, line] of lines.entries()) {
    if (keep.has(at)) out.push(line);
    else if (out.at(-1) !== null && out.length) out.push(null);
  }
  return out;
}
