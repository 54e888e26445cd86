// Icons: strokes on a grid of 24, drawn here.

const PATHS = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  clients: "M8 6h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H8a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2zM9 2v4M15 2v4M9 18v4M15 18v4M2 9h4M2 15h4M18 9h4M18 15h4",
  subscriptions: "M4 6h10M4 12h7M4 18h10M16 9l4 3-4 3",
  topics: "M5 4v14a2 2 0 0 0 2 2h3M5 10h5M14 7h6v6h-6zM13 17h7v4h-7",
  retained: "M6 3h12v18l-6-4-6 4z",
  drops: "M12 3s6 6.6 6 11a6 6 0 0 1-12 0c0-4.4 6-11 6-11zM10 17a2.5 2.5 0 0 1-1-2",
  key: "M14 10a4 4 0 1 0-3.5 4L13 16.500h2V19h2.500v2H21v-3.500l-7.2-7.200M8.5 8.500h.01",
  shield: "M12 3l8 3v6c0 4.5-3.3 7.8-8 9-4.7-1.2-8-4.5-8-9V6zM9 12l2 2 4-4",
  ban: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12",
  listener: "M12 20v-7M8.5 10.500a5 5 0 1 1 7 0M5.5 13.500a9 9 0 1 1 13 0M12 11h.01",
  bridge: "M3 17h18M6 17V9M18 17V9M3 11c2 0 3-2 3-2s2 5 6 5 6-5 6-5 1 2 3 2M10 17v-3.200M14 17v-3.200",
  slow: "M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  trace: "M3 12h4l3-8 4 16 3-8h4",
  alarm: "M12 3a6 6 0 0 0-6 6c0 6-2 7-2 8h16c0-1-2-2-2-8a6 6 0 0 0-6-6zM10 20.500a2.2 2.2 0 0 0 4 0",
  config: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.5-4 3-6 6.5-6s6 2 6.5 6M16 4.500a3.5 3.5 0 0 1 0 6.300M18.5 14.500c1.8.8 2.8 2.7 3 5.5",
  audit: "M7 3h10a1 1 0 0 1 1 1v17l-3-2-3 2-3-2-3 2V4a1 1 0 0 1 1-1zM9 8h6M9 12h6",
  backup: "M12 4v11M8 11l4 4 4-4M4 17v3h16v-3",
  socket: "M4 5h16v11H4zM8 20h8M12 16v4M8 10l2-2M8 10l2 2M14 8l2 2-2 2",
  log: "M5 4h14v16H5zM8 9l2 2-2 2M12 14h4",
  explain: "M9.2 9a3 3 0 1 1 4.3 2.700c-1 .6-1.5 1.2-1.5 2.300M12 17.500h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.500L20 20",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14.500A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.500z",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  menu: "M4 7h16M4 12h16M4 17h16",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  down: "M6 10l6 6 6-6",
  up: "M6 14l6-6 6 6",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  trash: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  check: "M5 12.500l4.5 4.500L19 7",
  refresh: "M20 11a8 8 0 1 0-1 5M20 4v7h-7",
  terminal: "M4 5h16v14H4zM8 10l3 2.500L8 15M13 15h4",
  warning: "M12 4l9 16H3zM12 10v4.500M12 17.500h.01",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8h.01",
  send: "M4 12l16-7-6 15-3-6.500z",
  play: "M8 5l11 7-11 7z",
  stop: "M6 6h12v12H6z",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  columns: "M4 5h16v14H4zM9.5 5v14M14.5 5v14",
  rules: "M4 6h6v4H4zM14 14h6v4h-6zM10 8h4a3 3 0 0 1 3 3v3",
  node: "M4 5h16v6H4zM4 13h16v6H4zM7.5 8h.01M7.5 16h.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
