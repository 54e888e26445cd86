import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon";

interface Props {
  children?: ComponentChildren;
  icon?: IconName;
  kind?: "primary" | "danger" | "quiet";
  small?: boolean;
  disabled?: boolean;
  busy?: boolean;
  submit?: boolean;
  /** What it does: needed where there is no text. */
  title?: string;
  pressed?: boolean;
  onClick?: (event: MouseEvent) => void;
}

export function Button({ children, icon, kind, small, disabled, busy, submit, title, pressed, onClick }: Props) {
  const classes = ["button", kind ?? "", small ? "small" : "", children ? "" : "only-icon"].filter(Boolean).join(" ");
  return (
    <button
      type={submit ? "submit" : "button"}
      class={classes}
      disabled={disabled || busy}
      title={title}
      aria-label={children ? undefined : title}
      aria-pressed={pressed}
      aria-busy={busy || undefined}
      onClick={onClick}
    >
      {icon && <Icon name={icon} />}
      {children && <span>{children}</span>}
    </button>
  );
}
