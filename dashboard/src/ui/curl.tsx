// The requests behind a page, as lines for a shell.

import { asked, curl } from "../api/client";
import { Icon } from "./icon";
import { Text } from "./text";
import { copy } from "./toast";

export function Curl() {
  const requests = asked.value;
  return (
    <details class="menu right">
      <summary class="button quiet" title="Copy as curl" aria-label="Copy as curl">
        <Icon name="terminal" />
        <span class="wide-only">curl</span>
      </summary>
      <div class="menu-body curl">
        <p class="hint">What this page asked. The variable NIGHTJAR_TOKEN is to hold a token.</p>
        {requests.map((one) => (
          <button key={`${one.method} ${one.path}`} type="button" class="curl-line" onClick={() => void copy(curl(one))}>
            <b>{one.method}</b>
            <Text v={one.path} mono />
            <Icon name="copy" size={14} />
          </button>
        ))}
        {requests.length === 0 && <p class="hint">Nothing yet.</p>}
      </div>
    </details>
  );
}
