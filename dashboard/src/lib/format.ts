// Numbers and times for people. Units are metric; bytes count by 1024.

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const number = (n: number | null | undefined): string => (n === null || n === undefined ? "–" : whole.format(n));

/** A number in a few characters: 1.2K, 3.4M. */
export const short = (n: number | null | undefined): string =>
  n === null || n === undefined ? "–" : Math.abs(n) < 10_000 ? whole.format(n) : compact.format(n);

/** A rate: with a fraction while it is small. */
export function rate(n: number | null | undefined): string {
  if (n === null || n === undefined) return "–";
  if (n === 0) return "0";
  if (n < 10) return n.toFixed(n < 0.1 ? 2 : 1);
  return short(n);
}

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let rest = n;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** One unit is enough for how long ago something was. */
function coarse(ms: number): string {
  const hours = ms / 3_600_000;
  if (hours < 1) return duration(ms);
  return hours < 48 ? `${Math.floor(hours)} h` : `${Math.floor(hours / 24)} d`;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** Local date and time, to the second. */
export function time(at: string | number | null | undefined): string {
  if (at === null || at === undefined || at === "") return "–";
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** How long ago, or in how long. */
export function ago(at: string | number | null | undefined, now = Date.now()): string {
  if (at === null || at === undefined || at === "") return "–";
  const date = new Date(at).getTime();
  if (Number.isNaN(date)) return String(at);
  const ms = now - date;
  if (Math.abs(ms) < 1000) return "now";
  return ms >= 0 ? `${coarse(ms)} ago` : `in ${coarse(-ms)}`;
}

export const plural = (n: number, one: string, more = `${one}s`): string => `${number(n)} ${n === 1 ? one : more}`;
