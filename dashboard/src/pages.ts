// The list of pages. A page is a folder in `pages/` whose `index.tsx` exports `page`; there is
// nothing else to write.

import type { ComponentType } from "preact";
import type { Role } from "./api/types";
import type { IconName } from "./ui/icon";

export const SECTIONS = ["Observe", "Diagnose", "Access", "Server", "Administration", "Tools"] as const;

export interface Page {
  /** Where: `/clients`, `/clients/:id`. What stands after a colon is handed to the view. */
  path: string;
  title: string;
  icon: IconName;
  section: (typeof SECTIONS)[number];
  /** Its place in the section. */
  order: number;
  /** Who has it in the navigation; the server asks again. */
  role?: Role;
  /** After "g": the letter that leads here. */
  key?: string;
  /** Not in the navigation: it belongs to the page that has the beginning of its path. */
  inner?: boolean;
  view: ComponentType<{ params: Record<string, string> }>;
}

const found = import.meta.glob<Page>("./pages/*/index.tsx", { eager: true, import: "page" });

export const pages: Page[] = Object.values(found).sort(
  (a, b) => SECTIONS.indexOf(a.section) - SECTIONS.indexOf(b.section) || a.order - b.order,
);
