// Text that others chose, made visible: what would not be seen or would turn the line around is
// written as an escape. (HTML in it needs no care: all text becomes text nodes.)

export interface Part {
  text: string;
  /** Whether it stands for a character that cannot be shown. */
  escaped: boolean;
}

/** Controls, marks of direction, joiners, spaces of no width, tags, surrogates that are alone. */
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;

export function parts(text: string): Part[] {
  const found: Part[] = [];
  let from = 0;
  for (const hit of text.matchAll(HIDDEN)) {
    if (hit.index > from) found.push({ text: text.slice(from, hit.index), escaped: false });
    found.push({ text: escape(hit[0]), escaped: true });
    from = hit.index + hit[0].length;
  }
  if (from < text.length) found.push({ text: text.slice(from), escaped: false });
  return found;
}

function escape(character: string): string {
  const named: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  const code = character.codePointAt(0) ?? 0;
  return named[character] ?? `\\u{${code.toString(16)}}`;
}

/** The same for places that take a string only, such as titles. */
export const plain = (text: string): string =>
  parts(text)
    .map((part) => part.text)
    .join("");
