// Questions and forms in front of a page: the browser's own dialog, with its focus and Escape.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "./button";
import { Text } from "./text";
import { told } from "./toast";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, wide }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current;
    if (!dialog) return;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog ref={box} class={wide ? "wide" : undefined} aria-label={title} onCancel={(event) => (event.preventDefault(), onClose())}>
      <div class="dialog-head">
        <h2>{title}</h2>
        <Button icon="close" kind="quiet" title="Close" onClick={onClose} />
      </div>
      {children}
    </dialog>
  );
}

interface FormProps {
  title: string;
  /** What its button says. */
  action: string;
  danger?: boolean;
  onClose: () => void;
  /** Does it. What goes wrong is shown, and the form stays. */
  onSubmit: () => Promise<unknown>;
  children: ComponentChildren;
  wide?: boolean;
}

export function FormDialog({ title, action, danger, onClose, onSubmit, children, wide }: FormProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await onSubmit();
      onClose();
    } catch (caught) {
      setError(caught instanceof Error ? caught.message : String(caught));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose} {...(wide ? { wide } : {})}>
      <form onSubmit={submit}>
        <div class="dialog-body">{children}</div>
        {error && (
          <p class="form-error" role="alert">
            <Text v={error} />
          </p>
        )}
        <div class="dialog-foot">
          <Button onClick={onClose}>Cancel</Button>
          <Button submit kind={danger ? "danger" : "primary"} busy={busy}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

interface Question {
  title: string;
  words: ComponentChildren;
  action: string;
  act: () => Promise<unknown>;
  done: string;
}
const question = signal<Question | null>(null);

/** Asks before something that cannot be taken back. */
export function confirm(asked: Question): void {
  question.value = asked;
}

export function Questions() {
  const asked = question.value;
  if (!asked) return null;
  const act = async () => {
    await asked.act();
    told(asked.done);
  };
  return (
    <FormDialog title={asked.title} action={asked.action} danger onClose={() => (question.value = null)} onSubmit={act}>
      <p>{asked.words}</p>
    </FormDialog>
  );
}
