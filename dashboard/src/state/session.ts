// Who is signed in. The token lives as long as the tab.

import { computed, signal } from "@preact/signals";
import type { Role } from "../api/types";

export interface Session {
  token: string;
  username: string;
  role: Role;
  expires_at?: string;
}

const KEY = "nightjar.session";

function stored(): Session | null {
  try {
    const text = sessionStorage.getItem(KEY);
    return text ? (JSON.parse(text) as Session) : null;
  } catch {
    return null;
  }
}

export const session = signal<Session | null>(stored());
/** Why the user is at the login again. */
export const farewell = signal<string | null>(null);

export function signedIn(now: Session): void {
  sessionStorage.setItem(KEY, JSON.stringify(now));
  farewell.value = null;
  session.value = now;
}

export function signedOut(why: string | null): void {
  sessionStorage.removeItem(KEY);
  farewell.value = why;
  session.value = null;
}

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };
export const role = computed<Role>(() => session.value?.role ?? "viewer");
/** Whether the user may do what needs these rights. The server decides; this only hides. */
export const may = (needed: Role): boolean => RANK[role.value] >= RANK[needed];
