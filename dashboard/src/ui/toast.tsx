import { signal } from "@preact/signals";
import { Icon } from "./icon";
import { Text } from "./text";

interface Told {
  id: number;
  words: string;
  bad: boolean;
}
const all = signal<Told[]>([]);
let next = 0;

/** Says something in passing. */
export function told(words: string, bad = false): void {
  next += 1;
  const id = next;
  all.value = [...all.value, { id, words, bad }].slice(-3);
  setTimeout(() => (all.value = all.value.filter((one) => one.id !== id)), bad ? 8000 : 3500);
}

/** Does something, and says how it went. */
export async function attempt(act: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await act();
    told(done);
    return true;
  } catch (error) {
    told(error instanceof Error ? error.message : String(error), true);
    return false;
  }
}

export const Toasts = () => (
  <div class="toasts" role="status" aria-live="polite">
    {all.value.map((one) => (
      <div key={one.id} class={`toast ${one.bad ? "bad" : ""}`}>
        <Icon name={one.bad ? "warning" : "check"} />
        <Text v={one.words} />
      </div>
    ))}
  </div>
);

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    told("Copied");
  } catch {
    told("The browser does not let this page copy; mark the text instead", true);
  }
}
