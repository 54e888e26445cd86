// What stands where there is nothing to show, always the same way.

import type { ComponentChildren } from "preact";
import { ApiError } from "../api/client";
import { Button } from "./button";
import { Icon, type IconName } from "./icon";
import { Text } from "./text";
import type { Loaded } from "./load";

export function Empty({ icon = "info", title, children }: { icon?: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <div class="state-mark">
        <Icon name={icon} size={22} />
      </div>
      <h3>{title}</h3>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  if (error instanceof ApiError && error.notOffered) {
    return (
      <Empty icon="info" title="This server does not offer it">
        The page is here, but this server has nothing that answers it.
      </Empty>
    );
  }
  if (error instanceof ApiError && error.status === 403) {
    return (
      <Empty icon="shield" title="Not with your role">
        <Text v={error.message} />
      </Empty>
    );
  }
  return (
    <div class="state" role="alert">
      <div class="state-mark bad">
        <Icon name="warning" size={22} />
      </div>
      <h3>{error instanceof ApiError ? "The server refused" : "The server does not answer"}</h3>
      <p>
        <Text v={error.message} />
      </p>
      {retry && (
        <Button icon="refresh" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Skeleton({ lines = 6 }: { lines?: number }) {
  return (
    <div class="skeleton" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, at) => (
        <div key={at} />
      ))}
    </div>
  );
}

/** Shows a value when it is there, and else what is the matter. */
export function Shown<T>({ of, lines, children }: { of: Loaded<T>; lines?: number; children: (value: T) => ComponentChildren }) {
  if (of.value !== undefined) return <>{children(of.value)}</>;
  if (of.error) return <Failure error={of.error} retry={of.reload} />;
  return <Skeleton lines={lines ?? 6} />;
}
