import type { ComponentChildren } from "preact";
import { Text } from "./text";

interface HeadProps {
  title: ComponentChildren;
  hint?: ComponentChildren;
  children?: ComponentChildren;
}

export function Head({ title, hint, children }: HeadProps) {
  return (
    <header class="head">
      <div class="head-words">
        <h1>{title}</h1>
        {hint && <p>{hint}</p>}
      </div>
      {children && <div class="head-actions">{children}</div>}
    </header>
  );
}

interface CardProps {
  title?: ComponentChildren;
  aside?: ComponentChildren;
  children?: ComponentChildren;
  /** Its content goes to its edges: tables. */
  flush?: boolean;
  class?: string;
}

export function Card({ title, aside, children, flush, class: extra }: CardProps) {
  return (
    <section class={`card ${flush ? "flush" : ""} ${extra ?? ""}`}>
      {(title || aside) && (
        <div class="card-head">
          <h2>{title}</h2>
          {aside && <div class="card-aside">{aside}</div>}
        </div>
      )}
      <div class="card-body">{children}</div>
    </section>
  );
}

interface StatProps {
  label: string;
  value: string;
  note?: ComponentChildren;
  tone?: Tone;
  href?: string;
}

export type Tone = "good" | "warn" | "bad" | "info" | "plain";

export function Stat({ label, value, note, tone, href }: StatProps) {
  const inner = (
    <>
      <span class="stat-label">{label}</span>
      <span class={`stat-value ${tone ?? ""}`}>{value}</span>
      {note && <span class="stat-note">{note}</span>}
    </>
  );
  return href ? (
    <a class="stat" href={href}>
      {inner}
    </a>
  ) : (
    <div class="stat">{inner}</div>
  );
}

export const Badge = ({ tone = "plain", children }: { tone?: Tone; children: ComponentChildren }) => (
  <span class={`badge ${tone}`}>{children}</span>
);

export const Dot = ({ tone, label }: { tone: Tone; label: string }) => (
  <span class="dot-label">
    <span class={`dot ${tone}`} />
    {label}
  </span>
);

/** Names and values. */
export function Facts({ of }: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof value === "string" || typeof value === "number" ? <Text v={value} /> : (value ?? <Text v={null} />)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A share of a whole, as a bar. `of` is 1 for all of it. */
export function Bar({ of, tone = "info" }: { of: number; tone?: Tone }) {
  const share = Math.max(0, Math.min(1, of));
  return (
    <svg class={`bar ${tone}`} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="bar-all" width="100" height="4" />
      <rect class="bar-part" width={share * 100} height="4" />
    </svg>
  );
}
