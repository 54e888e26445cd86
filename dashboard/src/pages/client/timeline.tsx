import { get, piece } from "../../api/client";
import type { TimelineEvent } from "../../api/types";
import { ago, time } from "../../lib/format";
import { Badge, Card, type Tone } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Text } from "../../ui/text";

const TONES: Record<string, Tone> = {
  connected: "good",
  authenticated: "good",
  refused: "bad",
  denied: "bad",
  dropped: "bad",
  ban: "bad",
  takeover: "warn",
  quota: "warn",
  disconnected: "plain",
  subscribed: "info",
  unsubscribed: "info",
};

export function Timeline({ id }: { id: string }) {
  const loaded = useLoad<TimelineEvent[] | { data: TimelineEvent[] }>((signal) => get(`clients/${piece(id)}/timeline`, { limit: 200 }, { signal }), [id], { every: 3000 });
  return (
    <Card title="What happened to this client" aside="the newest first">
      <Shown of={loaded}>
        {(answer) => {
          const events = Array.isArray(answer) ? answer : answer.data;
          if (!events.length) return <Empty icon="slow" title="Nothing is known" />;
          return (
            <ol class="timeline">
              {events.slice(0, 200).map((event, at) => (
                <li key={`${event.at} ${at}`}>
                  <span class={`dot ${TONES[event.event] ?? "plain"}`} />
                  <time title={ago(event.at)}>{time(event.at)}</time>
                  <span class="row">
                    <Badge tone={TONES[event.event] ?? "plain"}>
                      <Text v={event.event} />
                    </Badge>
                    {event.reason && <Text v={event.reason} />}
                    {event.peer && <Text v={event.peer} mono class="hint" />}
                    {Object.entries(event.detail ?? {}).map(([name, value]) => (
                      <span key={name} class="hint">
                        <Text v={name} /> <Text mono v={typeof value === "string" ? value : JSON.stringify(value)} />
                      </span>
                    ))}
                  </span>
                </li>
              ))}
            </ol>
          );
        }}
      </Shown>
    </Card>
  );
}
