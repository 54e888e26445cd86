// Curves by uPlot. It draws on a canvas and has no text of the server's.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { bytes } from "../lib/format";
import { dark } from "../state/theme";

export interface Curve {
  label: string;
  /** A variable of the style sheet: `--blue`. */
  color: string;
  values: (number | null | undefined)[];
}

interface Props {
  /** Seconds since 1970. */
  times: number[];
  curves: Curve[];
  format: (value: number) => string;
  height?: number;
  label: string;
}

/** Steps of an axis of bytes: 1, 2, 4, ... so that its marks are round. */
const BINARY = Array.from({ length: 46 }, (_, n) => 2 ** n);

const style = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function Chart({ times, curves, format, height = 150, label }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const isDark = dark.value;
  const data: uPlot.AlignedData = [times, ...curves.map((curve) => curve.values)] as uPlot.AlignedData;
  const shape = curves.map((curve) => curve.label + curve.color).join();

  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const made = new uPlot(options(box.clientWidth, height, curves, format), data, box);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height }));
    watch.observe(box);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, isDark, height]);

  useEffect(() => plot.current?.setData(data), [times, ...curves.map((curve) => curve.values)]);

  const last = (values: Curve["values"]) => values.findLast((value) => value !== null && value !== undefined);
  return (
    <figure class="chart" aria-label={label}>
      <figcaption>
        {curves.map((curve) => {
          const value = last(curve.values);
          return (
            <span key={curve.label} class="legend">
              <span class={`swatch ${curve.color.slice(2)}`} />
              {curve.label}
              <b>{value === null || value === undefined ? "–" : format(value)}</b>
            </span>
          );
        })}
      </figcaption>
      <div ref={place} class="chart-place" />
    </figure>
  );
}

function options(width: number, height: number, curves: Curve[], format: (value: number) => string): uPlot.Options {
  const grid = { stroke: style("--line-soft"), width: 1 };
  const font = `11px ${style("--font")}`;
  const axis = { stroke: style("--ink-faint"), font, grid, ticks: { show: false }, gap: 6 };
  return {
    width: Math.max(width, 120),
    height,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_, min, max) => [Math.min(0, min), max > 0 ? max * 1.15 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, size: 24, space: 70, values: (_, splits, __, ___, step) => splits.map((at) => clock(at, step)) },
      { ...axis, size: 52, space: 34, ...(format === bytes ? { incrs: BINARY } : {}), values: (_, splits) => splits.map((value) => format(value)) },
    ],
    series: [
      {},
      ...curves.map((curve, at): uPlot.Series => ({
        label: curve.label,
        stroke: style(curve.color),
        width: 1.75,
        points: { show: false },
        spanGaps: true,
        ...(at === 0 ? { fill: (drawn: uPlot) => shade(drawn, style(curve.color)) } : {}),
      })),
    ],
  };
}

function shade(drawn: uPlot, color: string): CanvasGradient {
  const { top, height } = drawn.bbox;
  const fill = drawn.ctx.createLinearGradient(0, top, 0, top + height);
  fill.addColorStop(0, `${color}38`);
  fill.addColorStop(1, `${color}00`);
  return fill;
}

function clock(seconds: number, step: number): string {
  const date = new Date(seconds * 1000);
  if (step >= 86_400) return `${date.getDate()}.${date.getMonth() + 1}.`;
  const two = (n: number) => String(n).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return step < 60 ? `${time}:${two(date.getSeconds())}` : time;
}
