import { useState } from "preact/hooks";
import { ask } from "../../api/client";
import { bytes } from "../../lib/format";
import { save } from "../../lib/save";
import type { Page } from "../../pages";
import { Button } from "../../ui/button";
import { Card, Head } from "../../ui/layout";
import { Lines } from "../../ui/payload";
import { Failure } from "../../ui/states";
import { told } from "../../ui/toast";

function View() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const make = async () => {
    setBusy(true);
    try {
      const response = await ask("POST", "data/export");
      const content = await response.blob();
      const named = /filename="?([\w.-]+)"?/.exec(response.headers.get("content-disposition") ?? "")?.[1];
      save(named ?? `nightjar-${new Date().toISOString().slice(0, 10)}.backup`, content);
      told(`Saved ${bytes(content.size)}`);
      setError(undefined);
    } catch (caught) {
      setError(caught as Error);
    }
    setBusy(false);
  };
  return (
    <>
      <Head title="Backup" hint="Sessions, messages, users, bans, administrators and the configuration, while the server runs." />
      <div class="columns-2">
        <Card title="Save">
          <div class="form">
            <p>The file holds payloads, hashes of passwords and the secrets of the configuration. Keep it as you keep the data folder itself.</p>
            <div>
              <Button kind="primary" icon="backup" busy={busy} onClick={() => void make()}>
                {busy ? "Saving" : "Save a backup"}
              </Button>
            </div>
            {error && <Failure error={error} />}
          </div>
        </Card>
        <Card title="Restore">
          <div class="form">
            <p>A backup is restored into an empty data folder, with the server stopped:</p>
            <Lines text={"nightjar restore FILE --data-dir NEW"} />
          </div>
        </Card>
      </div>
    </>
  );
}

export const page: Page = { path: "/backup", title: "Backup", icon: "backup", section: "Server", order: 5, role: "admin", view: View };
