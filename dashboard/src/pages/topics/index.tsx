import { place, setQuery } from "../../router";
import type { Page } from "../../pages";
import { Filters, Search } from "../../ui/form";
import { Card, Head } from "../../ui/layout";
import { Empty } from "../../ui/states";
import { Tree } from "./tree";
import { Value } from "./value";
import { Publish } from "./publish";
import { may } from "../../state/session";
import { BulkDelete } from "./bulk";

function View() {
  const topic = place.value.query.get("topic") ?? "";
  return (
    <>
      <Head title="Topic explorer" hint="What is published, level by level: only what you open is asked for.">
        {may("operator") && <BulkDelete under={topic} />}
      </Head>
      <Filters>
        <Search main label="Go to topic" placeholder="Go to topic: plant/7/temperature" value={topic} onSearch={(value) => setQuery({ topic: value })} />
      </Filters>
      <div class="side-by-side">
        <Card flush title="Topics" aside="messages per second">
          <Tree chosen={topic} onChoose={(next) => setQuery({ topic: next })} />
        </Card>
        <div class="stack">
          {topic ? (
            <Value key={topic} topic={topic} />
          ) : (
            <Card>
              <Empty icon="topics" title="Choose a topic">
                Its last value, history and curve are shown here.
              </Empty>
            </Card>
          )}
          {may("operator") && <Publish key={`publish ${topic}`} topic={topic} />}
        </div>
      </div>
    </>
  );
}

export const page: Page = { path: "/topics", title: "Topic explorer", icon: "topics", section: "Observe", order: 4, key: "t", view: View };
