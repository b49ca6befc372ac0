/**
 * A simulated stretch as an SVG: the use over time with the policy's lines, what was shed and killed, and a bar for each plugin.
 * Written by hand: a picture is a few paths, and the chart libraries that make one without a browser bring a megabyte.
 */

import { formatPercent } from "../config/units.ts";

export interface PlotData {
  title: string;
  beginMs: number;
  endMs: number;
  /** At each sample: shares of the budget. */
  atMs: readonly number[];
  usedRatio: readonly number[];
  baseRatio: readonly number[];
  lines: readonly { name: string; ratio: number }[];
  /** When each plugin was not ready. */
  plugins: readonly {
    name: string;
    down: readonly { fromMs: number; toMs: number }[];
    /** 0..1. */
    availability: number;
  }[];
  oomMs: readonly number[];
}

const width = 1_200;
const left = 70;
const right = 150;
const top = 46;
const chartHeight = 360;
const rowHeight = 22;
/** Of the shortest downtime, so that it is seen. */
const leastWidth = 0.5;
const inner = width - left - right;

const colours = {
  used: "#1f5fa8",
  base: "#9db8d6",
  line: "#c0392b",
  oom: "#7d0a0a",
  up: "#5a9e6f",
  down: "#e0876a",
};

/** The picture; at most two points a pixel of each curve are drawn, its lowest and highest. */
export function plotSvg(data: PlotData): string {
  const span = Math.max(1, data.endMs - data.beginMs);
  const x = (ms: number) => left + (inner * (ms - data.beginMs)) / span;
  const most = Math.max(1, highest(data.usedRatio));
  const y = (ratio: number) => top + chartHeight * (1 - ratio / most);
  const rowsTop = top + chartHeight + 46;
  const height = rowsTop + data.plugins.length * rowHeight + 50;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${left}" y="24" font-size="15">${escaped(data.title)}</text>`,
    ...ratioAxis(y, most),
    ...timeAxis(x, data, top + chartHeight),
    curve(data.atMs, data.baseRatio, x, y, colours.base),
    curve(data.atMs, data.usedRatio, x, y, colours.used),
    ...policyLines(y, data.lines),
    ...data.oomMs.map(
      (ms) =>
        `<path d="M${fixed(x(ms))} ${top}v${chartHeight}" stroke="${colours.oom}" stroke-width="1" opacity="0.5"/>`,
    ),
    ...bars(x, data, rowsTop),
    legend(height - 16, data.oomMs.length),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

const fixed = (value: number): string => value.toFixed(1);
const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const highest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);

function ratioAxis(y: (ratio: number) => number, most: number): string[] {
  const ticks = Array.from({ length: Math.floor(most * 5 + 1e-9) + 1 }, (_, i) => i / 5);
  return ticks.flatMap((ratio) => [
    `<path d="M${left} ${fixed(y(ratio))}h${inner}" stroke="#e3e3e3"/>`,
    `<text x="${left - 8}" y="${fixed(y(ratio) + 4)}" text-anchor="end">${Math.round(ratio * 100)} %</text>`,
  ]);
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const steps = [minute, 5 * minute, 15 * minute, hour, 3 * hour, 6 * hour, day, 2 * day, 7 * day, 28 * day];
const mostTicks = 12;

function timeAxis(x: (ms: number) => number, { beginMs, endMs }: PlotData, bottom: number): string[] {
  const step = steps.find((each) => (endMs - beginMs) / each <= mostTicks) ?? (endMs - beginMs) / mostTicks;
  const texts: string[] = [];
  for (let ms = Math.ceil(beginMs / step) * step; ms <= endMs; ms += step) {
    const iso = new Date(ms).toISOString();
    const label = step >= day ? iso.slice(5, 10) : `${iso.slice(5, 10)} ${iso.slice(11, 16)}`;
    texts.push(
      `<path d="M${fixed(x(ms))} ${bottom}v5" stroke="#666666"/>`,
      `<text x="${fixed(x(ms))}" y="${bottom + 20}" text-anchor="middle">${label}</text>`,
    );
  }
  return texts;
}

/** Names stand so far apart that none covers another. */
const leastApart = 13;

function policyLines(y: (ratio: number) => number, lines: PlotData["lines"]): string[] {
  let lowest = Number.NEGATIVE_INFINITY;
  return lines
    .toSorted((a, b) => b.ratio - a.ratio)
    .flatMap(({ name, ratio }) => {
      lowest = Math.max(y(ratio) + 4, lowest + leastApart);
      return [
        `<path d="M${left} ${fixed(y(ratio))}h${inner}" stroke="${colours.line}" stroke-dasharray="5 4"/>`,
        `<text x="${left + inner + 6}" y="${fixed(lowest)}" fill="${colours.line}">${escaped(name)} ${formatPercent(ratio)}</text>`,
      ];
    });
}

function curve(
  atMs: readonly number[],
  values: readonly number[],
  x: (ms: number) => number,
  y: (ratio: number) => number,
  colour: string,
): string {
  const points: string[] = [];
  let [column, low, high] = [Number.NaN, 0, 0];
  const flush = () => {
    if (Number.isNaN(column)) return;
    points.push(`${column} ${fixed(y(low))}`);
    if (high > low) points.push(`${column} ${fixed(y(high))}`);
  };
  atMs.forEach((ms, i) => {
    const value = values[i] ?? 0;
    const at = Math.round(x(ms));
    if (at === column) {
      low = Math.min(low, value);
      high = Math.max(high, value);
      return;
    }
    flush();
    [column, low, high] = [at, value, value];
  });
  flush();
  return `<path d="M${points.join("L")}" fill="none" stroke="${colour}" stroke-width="1.3"/>`;
}

function bars(x: (ms: number) => number, { plugins, endMs }: PlotData, rowsTop: number): string[] {
  const bar = `height="${rowHeight - 8}"`;
  return plugins.flatMap(({ name, down, availability }, row) => {
    const y = rowsTop + row * rowHeight;
    return [
      `<text x="${left - 8}" y="${y + 12}" text-anchor="end">${escaped(name.slice(0, 10))}</text>`,
      `<rect x="${left}" y="${y}" width="${inner}" ${bar} fill="${colours.up}"/>`,
      ...stretches(x, down, endMs).map(
        ([from, wide]) =>
          `<rect x="${fixed(from)}" y="${y}" width="${fixed(wide)}" ${bar} fill="${colours.down}"/>`,
      ),
      `<text x="${left + inner + 6}" y="${y + 12}">${(availability * 100).toFixed(2)} % ready</text>`,
    ];
  });
}

/** Where each begins and how wide it is; those that touch in the picture are one. */
function stretches(
  x: (ms: number) => number,
  down: PlotData["plugins"][number]["down"],
  endMs: number,
): [number, number][] {
  const drawn: [number, number][] = [];
  for (const { fromMs, toMs } of down) {
    const from = x(fromMs);
    const to = Math.max(from + leastWidth, x(Math.min(endMs, toMs)));
    const last = drawn.at(-1);
    if (last && from <= last[0] + last[1]) last[1] = Math.max(last[1], to - last[0]);
    else drawn.push([from, to - from]);
  }
  return drawn;
}

function legend(y: number, ooms: number): string {
  const entries: [string, string][] = [
    [colours.used, "used"],
    [colours.base, "used without the plugins"],
    [colours.up, "ready"],
    [colours.down, "shed, killed or starting"],
    ...(ooms > 0 ? [[colours.oom, "killed by the kernel"] as [string, string]] : []),
  ];
  return entries
    .map(
      ([colour, text], i) =>
        `<rect x="${left + i * 190}" y="${y - 10}" width="12" height="12" fill="${colour}"/><text x="${left + 18 + i * 190}" y="${y}">${text}</text>`,
    )
    .join("\n");
}
