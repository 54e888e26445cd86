import { get } from "../../api/client";
import type { Alarm, Rows } from "../../api/types";
import { alarms as changes } from "../../state/live";
import { ago } from "../../lib/format";
import { Badge } from "../../ui/layout";
import { Icon } from "../../ui/icon";
import { useLoad } from "../../ui/load";
import { Text } from "../../ui/text";
import { tone } from "../alarms/tone";

/** The strip of alarms: nothing where there are none, or no alarms at all. */
export function Alarms() {
  const { value } = useLoad<Rows<Alarm>>((signal) => get("alarms", { activated: true, limit: 5 }, { signal, quiet: true }), [changes.value], { every: 10_000 });
  if (!value?.data.length) return null;
  return (
    <section class="card alarms" aria-label="Alarms">
      {value.data.map((alarm) => (
        <a key={`${alarm.name} ${alarm.about} ${alarm.activate_at}`} class="alarm" href="#/alarms">
          <Badge tone={tone(alarm)}>
            <Icon name="warning" size={12} />
            <Text v={alarm.name.replaceAll("_", " ")} />
          </Badge>
          <Text v={alarm.message} />
          <span class="grow" />
          <span class="hint">{ago(alarm.activate_at)}</span>
        </a>
      ))}
    </section>
  );
}
