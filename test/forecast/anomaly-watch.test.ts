/** Anomalies are told once, when they begin, and again only after they have ended. */

import { expect, test } from "bun:test";
import type { AdaptiveNews, MemoryTrend } from "../../src/forecast/adaptive.ts";
import { AnomalyWatch } from "../../src/forecast/anomaly-watch.ts";

const horizonMs = 300_000;
const nothing: AdaptiveNews = { surprise: 0, riseRatio: 0, drifted: false };
const level: MemoryTrend = {
  slopePerSecond: 0,
  slopeLower: -1,
  slopeUpper: 1,
  significant: false,
  crossing: null,
};
/** A significant slope, in percent of the budget per horizon. */
const rising = (perHorizon: number): MemoryTrend => ({
  ...level,
  slopePerSecond: perHorizon / 300,
  significant: true,
});

/** The kinds that begin with each of the points, half a minute apart. */
function told(points: readonly [Partial<AdaptiveNews>, MemoryTrend][]): string[] {
  const watch = new AnomalyWatch(horizonMs);
  return points.map(([news, trend], i) =>
    watch
      .look(i * 30_000, { ...nothing, ...news }, trend)
      .map(({ kind }) => kind)
      .join("+"),
  );
}

test("an outcome twice as far off as its interval reached, once until one lies inside", () => {
  const surprises = [0.5, 1.99, 2, 5, 0, 1.2, 3, 0.9, 2.5];
  expect(told(surprises.map((surprise) => [{ surprise }, level]))).toEqual([
    "",
    "",
    "residual",
    "",
    "",
    "",
    "",
    "",
    "residual",
  ]);
});

test("a rise twice as fast as is usual at most", () => {
  expect(told([1.9, 2, 4].map((riseRatio) => [{ riseRatio }, level]))).toEqual(["", "spike", "spike"]);
});

test("growth that goes on for a whole horizon, once until it ends", () => {
  const grows = Array.from({ length: 14 }, (): [object, MemoryTrend] => [{}, rising(2)]);
  const kinds = told([...grows, [{}, level], ...grows]);
  expect(kinds.indexOf("growth")).toBe(10);
  expect(kinds.lastIndexOf("growth")).toBe(25);
  expect(kinds.filter((kind) => kind === "growth")).toHaveLength(2);
});

test("no growth: falling, too slow to matter, or not significant", () => {
  for (const trend of [rising(-5), rising(0.99), { ...rising(5), significant: false }])
    expect(told(Array.from({ length: 20 }, () => [{}, trend])).join("")).toBe("");
});

test("what is told names its size", () => {
  const watch = new AnomalyWatch(horizonMs);
  expect(watch.look(7, { surprise: 2.5, riseRatio: 3, drifted: false }, level)).toEqual([
    {
      kind: "residual",
      atMs: 7,
      value: 2.5,
      detail: "memory lies 2.5 half-widths of its interval from the forecast",
    },
    {
      kind: "spike",
      atMs: 7,
      value: 3,
      detail: "memory rose 3.0 times as fast as is usual at most, within 30 s",
    },
  ]);
});
