// The keyboard: "/" searches, "g" and a letter goes to a page, "?" tells, Escape leaves a box.

import { signal } from "@preact/signals";
import { go } from "../router";
import { pages } from "../pages";

export const helpShown = signal(false);
const PATIENCE = 1200;
let since = 0;

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

export function followKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      helpShown.value = false;
      for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) menu.open = false;
      if (typing(event.target)) (event.target as HTMLElement).blur();
      return;
    }
    if (typing(event.target)) return;
    if (Date.now() - since < PATIENCE) {
      since = 0;
      const page = pages.find((one) => one.key === event.key);
      if (page) {
        event.preventDefault();
        go(page.path);
      }
      return;
    }
    if (event.key === "g") since = Date.now();
    else if (event.key === "?") helpShown.value = !helpShown.value;
    else if (event.key === "/") {
      const box = document.querySelector<HTMLElement>("[data-main-search]") ?? document.querySelector<HTMLElement>("main input[type=search]");
      if (box) {
        event.preventDefault();
        box.focus();
      }
    } else if (event.key === "j" || event.key === "ArrowDown") {
      // Into the table, if nothing else has the focus.
      if (document.activeElement === document.body) document.querySelector<HTMLElement>("main tbody tr")?.focus();
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
      if (!menu.contains(event.target as Node)) menu.open = false;
    }
  });
}
