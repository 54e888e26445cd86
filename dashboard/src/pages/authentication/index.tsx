import { get, remove } from "../../api/client";
import type { Chain, Provider } from "../../api/types";
import { duration, number } from "../../lib/format";
import type { Page } from "../../pages";
import { to } from "../../router";
import { may } from "../../state/session";
import { Button } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { Badge, Card, Facts, Head } from "../../ui/layout";
import { useLoad } from "../../ui/load";
import { Empty, Shown } from "../../ui/states";
import { Text } from "../../ui/text";
import { attempt } from "../../ui/toast";

/** A bound that this share of the answers keeps, from the histogram. */
function within(provider: Provider, share: number): string {
  const { buckets } = provider.latency;
  const all = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  if (!all) return "–";
  let seen = 0;
  for (const bucket of buckets) {
    seen += bucket.count;
    if (seen >= all * share) return bucket.at_most_ms === null || bucket.at_most_ms === undefined ? "longer than measured" : `≤ ${duration(bucket.at_most_ms)}`;
  }
  return "–";
}

function View() {
  const loaded = useLoad<Chain>((signal) => get("authentication", undefined, { signal }), [], { every: 3000 });
  const forget = () => void attempt(() => remove("authorization/cache"), "Forgotten: back ends are asked again");
  return (
    <>
      <Head title="Authentication" hint="Who a client is: providers are asked in this order, until one knows.">
        <a class="button" href={to("/users")}>
          <Icon name="people" />
          <span>Users</span>
        </a>
        {may("operator") && (
          <Button icon="refresh" onClick={forget}>
            Forget cached answers
          </Button>
        )}
      </Head>
      <Shown of={loaded}>
        {(chain) => (
          <div class="stack">
            {chain.data.length === 0 && (
              <Card>
                <Empty icon="key" title="No providers">
                  The configuration names none; see the section [[authentication]].
                </Empty>
              </Card>
            )}
            {chain.data.map((provider, at) => (
              <One key={provider.name} provider={provider} at={at} />
            ))}
            <p class="hint">
              Attempts slowed down after failures: {number(chain.throttled)}, from {number(chain.addresses)} addresses watched now.
            </p>
          </div>
        )}
      </Shown>
    </>
  );
}

function One({ provider, at }: { provider: Provider; at: number }) {
  const title = (
    <span class="row">
      <Badge>{at + 1}</Badge>
      <Text v={provider.name} />
      <span class="hint">
        <Text v={provider.kind} />
      </span>
    </span>
  );
  return (
    <Card title={title} aside={<Badge tone={provider.down ? "bad" : "good"}>{provider.down ? "down" : "answers"}</Badge>}>
      <Facts
        of={[
          ["Asked", number(provider.asked)],
          ["Admitted", number(provider.admitted)],
          ["Denied", number(provider.denied)],
          ["Did not know", number(provider.unknown)],
          ["Answered from memory", number(provider.cached)],
          ["Failed", <Bad of={provider.failed} />],
          ["Timed out", <Bad of={provider.timed_out} />],
          ["Refused while down", <Bad of={provider.refused_by_breaker} />],
          ["Turned away, too busy", <Bad of={provider.busy} />],
          ["Being asked now", number(provider.inside)],
          ["Half of the answers", within(provider, 0.5)],
          ["99 of 100", within(provider, 0.99)],
        ]}
      />
    </Card>
  );
}

const Bad = ({ of }: { of: number }) => <span class={of ? "bad-text" : ""}>{number(of)}</span>;

export const page: Page = { path: "/authentication", title: "Authentication", icon: "key", section: "Access", order: 1, key: "n", view: View };
