import type { Alarm } from "../../api/types";
import type { Tone } from "../../ui/layout";

/** How an alarm looks: as grave as the server says, and a warning where it does not. */
export function tone(alarm: Alarm): Tone {
  if (alarm.severity === "critical") return "bad";
  if (alarm.severity === "info") return "info";
  return "warn";
}
