import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon } from "./icon";

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  children: (id: string) => ComponentChildren;
}

export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
      {hint && <p class="field-hint">{hint}</p>}
      {error && (
        <p class="field-error" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

interface InputProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  type?: "text" | "password";
  hint?: ComponentChildren;
  placeholder?: string;
  required?: boolean;
  mono?: boolean;
  autoFocus?: boolean;
  autoComplete?: string;
}

export function Input({ label, value, onInput, type = "text", hint, placeholder, required, mono, autoFocus, autoComplete = "off" }: InputProps) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (autoFocus) box.current?.focus();
  }, []);
  return (
    <Field label={label} hint={hint}>
      {(id) => {
        const same = {
          id,
          ref: box,
          class: mono ? "mono" : undefined,
          value,
          required,
          placeholder,
          autoComplete,
          spellcheck: false,
          onInput: (event: { currentTarget: HTMLInputElement }) => onInput(event.currentTarget.value),
        };
        return type === "password" ? <input type="password" {...same} /> : <input type="text" {...same} />;
      }}
    </Field>
  );
}

interface AreaProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  rows?: number;
  placeholder?: string;
  hint?: ComponentChildren;
}

export function Area({ label, value, onInput, rows = 4, placeholder, hint }: AreaProps) {
  return (
    <Field label={label} hint={hint}>
      {(id) => (
        <textarea id={id} class="mono" rows={rows} value={value} placeholder={placeholder} spellcheck={false} onInput={(event) => onInput(event.currentTarget.value)} />
      )}
    </Field>
  );
}

interface SelectProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  options: [value: string, label: string][];
  hint?: ComponentChildren;
  hideLabel?: boolean;
}

export function Select({ label, value, onChange, options, hint, hideLabel }: SelectProps) {
  const box = (id?: string) => (
    <select id={id} aria-label={hideLabel ? label : undefined} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {options.map(([key, words]) => (
        <option key={key} value={key} selected={key === value}>
          {words}
        </option>
      ))}
    </select>
  );
  if (hideLabel) return box();
  return (
    <Field label={label} hint={hint}>
      {box}
    </Field>
  );
}

export function Check({ label, value, onChange }: { label: ComponentChildren; value: boolean; onChange: (value: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

interface SearchProps {
  label: string;
  value: string;
  onSearch: (value: string) => void;
  placeholder?: string;
  /** "/" goes here. */
  main?: boolean;
}

/** A filter that is typed: it acts when one stops typing. */
export function Search({ label, value, onSearch, placeholder, main }: SearchProps) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  const type = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onSearch(next), 250) as unknown as number;
  };
  const now = () => {
    clearTimeout(timer.current);
    onSearch(text);
  };
  return (
    <div class="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label={label}
        value={text}
        placeholder={placeholder ?? label}
        spellcheck={false}
        autoComplete="off"
        data-main-search={main ? "" : undefined}
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && now()}
      />
      {main && !text && <kbd>/</kbd>}
    </div>
  );
}

export const Filters = ({ children }: { children: ComponentChildren }) => <div class="filters">{children}</div>;

interface TabsProps {
  tabs: [key: string, label: ComponentChildren][];
  value: string;
  onChange: (key: string) => void;
  label: string;
}

export function Tabs({ tabs, value, onChange, label }: TabsProps) {
  const keys = tabs.map(([key]) => key);
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const next = keys[(keys.indexOf(value) + step + keys.length) % keys.length];
    if (next !== undefined) onChange(next);
    const list = event.currentTarget as HTMLElement;
    queueMicrotask(() => list.querySelector<HTMLElement>("[aria-selected=true]")?.focus());
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map(([key, words]) => (
        <button key={key} type="button" role="tab" aria-selected={key === value} tabIndex={key === value ? 0 : -1} onClick={() => onChange(key)}>
          {words}
        </button>
      ))}
    </div>
  );
}
