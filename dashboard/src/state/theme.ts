// Dark or light: as the system says, or as the user says.

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "dark" | "light";
const KEY = "nightjar.theme";
const saved = localStorage.getItem(KEY);
export const theme = signal<Theme>(saved === "dark" || saved === "light" ? saved : "system");

const system = matchMedia("(prefers-color-scheme: dark)");
/** What is shown: charts draw their own colours and have to know. */
export const dark = signal(system.matches);

export function followTheme(): void {
  const apply = () => {
    dark.value = theme.value === "dark" || (theme.value === "system" && system.matches);
    document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
  };
  system.addEventListener("change", apply);
  effect(() => {
    if (theme.value === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme.value);
    apply();
  });
}

export function turnTheme(): void {
  theme.value = theme.value === "system" ? (dark.value ? "light" : "dark") : theme.value === "dark" ? "light" : "dark";
}
