/** The window: bounded, and what is read from it, against numbers worked out by hand and by a slower way. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { anomaliesOf } from "../../src/monitor/anomalies.ts";
import { metricNames, metricOf, type Sample } from "../../src/monitor/sample.ts";
import { summarize } from "../../src/monitor/summary.ts";
import { type Point, trendOf } from "../../src/monitor/trend.ts";
import { SampleWindow } from "../../src/monitor/window.ts";
import { GiB } from "./fixture-host.ts";

/** A sample in which `percent` of 10 GiB are used; null: memory was not read. */
const sampleAt = (atMs: number, percent: number | null): Sample => ({
  atMs,
  cpuPercent: null,
  memory:
    percent === null
      ? null
      : {
          usedBytes: (percent / 100) * 10 * GiB,
          budgetBytes: 10 * GiB,
          usedRatio: percent / 100,
          source: "cgroup",
          cgroup: "/c",
          swapUsedBytes: null,
          swapTotalBytes: null,
        },
  disk: null,
  load: null,
  pressure: { memory: null, cpu: null, io: null },
  footprints: null,
});

function windowOf(percents: readonly (number | null)[], capacity = 60, stepMs = 30_000): SampleWindow {
  const window = new SampleWindow(capacity);
  for (const [index, percent] of percents.entries()) window.push(sampleAt(1_000 + index * stepMs, percent));
  return window;
}

describe("what is kept", () => {
  test("is the newest samples in order, never more than the capacity", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.nat({ max: 60 }),
        fc.nat({ max: 30 }),
        (capacity, count, limit) => {
          const window = windowOf(
            Array.from({ length: count }, (_, i) => i),
            capacity,
          );
          const times = Array.from({ length: count }, (_, i) => 1_000 + i * 30_000);
          expect(window.history().map(({ atMs }) => atMs)).toEqual(times.slice(-capacity));
          const expected = limit === 0 ? [] : times.slice(-Math.min(limit, capacity));
          expect(window.history(limit).map(({ atMs }) => atMs)).toEqual(expected);
          expect(window.current()?.atMs ?? null).toBe(times.at(-1) ?? null);
        },
      ),
    );
  });

  test("is not changed by what is done to a history that was handed out", () => {
    const window = windowOf([1, 2]);
    (window.history() as Sample[]).pop();
    expect(window.history()).toHaveLength(2);
  });

  test("is filled from storage when empty: the newest, and none that is too old", () => {
    const stored = Array.from({ length: 10 }, (_, i) => sampleAt(i, i));
    const window = new SampleWindow(4);
    window.warm(stored);
    expect(window.history().map(({ atMs }) => atMs)).toEqual([6, 7, 8, 9]);
    window.warm(stored.slice(0, 1));
    expect(window.history().map(({ atMs }) => atMs)).toEqual([6, 7, 8, 9]);
    const fresh = new SampleWindow(4);
    fresh.warm(stored, 8);
    expect(fresh.history().map(({ atMs }) => atMs)).toEqual([8, 9]);
  });
});

describe("a trend", () => {
  test("of a line is the line, with gaps left out and counted", () => {
    // 1 percent a sample, two samples a minute; the third is a gap.
    const window = windowOf([50, 51, null, 53, 54]);
    expect(window.trend("memoryUsedPercent")).toEqual({
      average: 52,
      min: 50,
      max: 54,
      slopePerMinute: expect.closeTo(2, 9),
      points: 4,
      gaps: 1,
    });
  });

  test("goes by the real times, not by the place in the window", () => {
    const points = [0, 30_000, 90_000, 600_000].map((atMs) => ({ atMs: 1e12 + atMs, value: atMs / 60_000 }));
    expect(trendOf(points, 4)?.slopePerMinute).toBeCloseTo(1, 9);
  });

  test("of three points off a line is that of least squares", () => {
    // Minutes 0, 1, 2; values 0, 0, 3: slope = Σ(t−1)(v−1) / Σ(t−1)² = (1 + 0 + 2) / 2.
    const points = [0, 0, 3].map((value, minute) => ({ atMs: minute * 60_000, value }));
    expect(trendOf(points, 3)?.slopePerMinute).toBe(1.5);
  });

  test("needs two times for a slope, and a point for anything", () => {
    expect(windowOf([50]).trend("memoryUsedPercent")?.slopePerMinute).toBeNull();
    const twice = [1, 2].map((value) => ({ atMs: 5, value }));
    expect(trendOf(twice, 2)?.slopePerMinute).toBeNull();
    expect(windowOf([null, null]).trend("memoryUsedPercent")).toBeNull();
    expect(Object.keys(windowOf([null, 40]).trends())).toEqual(["memoryUsedPercent", "memoryUsedBytes"]);
  });

  const value = fc.double({ min: -1e12, max: 1e12, noNaN: true });
  test("has min ≤ average ≤ max, and turns with its sign", () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 2, maxLength: 60 }), (values) => {
        const trend = (sign: number) =>
          trendOf(
            values.map((each, i) => ({ atMs: 1e12 + i * 30_000, value: sign * each })),
            values.length,
          );
        const up = trend(1);
        const down = trend(-1);
        if (!up || !down) throw new Error("no trend");
        expect(up.min).toBe(Math.min(...values));
        expect(up.average).toBeGreaterThanOrEqual(up.min);
        expect(up.average).toBeLessThanOrEqual(up.max);
        expect(down.slopePerMinute).toBeCloseTo(-(up.slopePerMinute ?? Number.NaN), 3);
      }),
    );
  });
});

describe("an anomaly", () => {
  const pointsOf = (values: readonly number[]): Point[] => values.map((value, i) => ({ atMs: i, value }));

  /** Mean and deviation of all but one, the plain way. */
  function slowly(values: readonly number[], index: number) {
    const others = values.toSpliced(index, 1);
    const mean = others.reduce((sum, each) => sum + each, 0) / others.length;
    const squares = others.reduce((sum, each) => sum + (each - mean) ** 2, 0);
    return { mean, deviation: Math.sqrt(squares / (others.length - 1)) };
  }

  test("is judged by the others alone", () => {
    // Others: five times 10 and five times 20: mean 15, deviation sqrt(250 / 9). 31 is 16 away: 3.04 deviations.
    const values = [10, 20, 10, 20, 10, 31, 20, 10, 20, 10, 20];
    const deviation = Math.sqrt(250 / 9);
    expect(anomaliesOf("cpuPercent", pointsOf(values), 3)).toEqual([
      {
        metric: "cpuPercent",
        atMs: 5,
        value: 31,
        mean: expect.closeTo(15, 9),
        deviation: expect.closeTo(deviation, 9),
        sigma: expect.closeTo(16 / deviation, 9),
      },
    ]);
    expect(anomaliesOf("cpuPercent", pointsOf(values), 3.1)).toEqual([]);
  });

  test.each([
    [9, 0],
    [10, 1],
  ])("needs nine others: of %p points %p", (count, found) => {
    const values = Array.from({ length: count }, (_, i) => (i === 4 ? 90 : 10 + (i % 2)));
    expect(anomaliesOf("cpuPercent", pointsOf(values), 3)).toHaveLength(found);
  });

  test.each([
    ["cpuPercent", 0.29, 0],
    ["cpuPercent", 0.31, 1],
    ["swapUsedBytes", 4_096, 0],
    ["swapUsedBytes", 4 * 2 ** 20, 1],
  ] as const)("after a flat time, %s that moved by %p is %p", (metric, moved, found) => {
    const values = [...Array<number>(20).fill(0), moved];
    const anomalies = anomaliesOf(metric, pointsOf(values), 3);
    expect(anomalies).toHaveLength(found);
    for (const { sigma } of anomalies) expect(Number.isFinite(sigma)).toBe(true);
  });

  test("is found beside a far larger one, whose size costs no precision", () => {
    const values = [...Array.from({ length: 30 }, (_, i) => 10 + (i % 2)), 1e9];
    const [only, ...rest] = anomaliesOf("cpuPercent", pointsOf(values), 3);
    expect(rest).toEqual([]);
    expect(only?.deviation).toBeCloseTo(slowly(values, 30).deviation, 9);
  });

  test("agrees with the plain way for any values", () => {
    const value = fc.integer({ min: 0, max: 10_000 });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 10, maxLength: 60 }),
        fc.constantFrom(1, 2, 3),
        (values, sigma) => {
          const found = new Set(anomaliesOf("cpuPercent", pointsOf(values), sigma).map(({ atMs }) => atMs));
          values.forEach((each, index) => {
            const { mean, deviation } = slowly(values, index);
            const excess = Math.abs(each - mean) - sigma * Math.max(deviation, 0.1);
            if (Math.abs(excess) > 1e-6) expect([index, found.has(index)]).toEqual([index, excess > 0]);
          });
        },
      ),
    );
  });

  test("of the window is told the newest first, by metric, and never for a gap", () => {
    const window = windowOf([...Array.from({ length: 12 }, (_, i) => 50 + (i % 2)), null, 95]);
    const found = window.anomalies(3);
    expect(found.map(({ metric, atMs }) => [metric, atMs])).toEqual([
      ["memoryUsedPercent", 1_000 + 13 * 30_000],
      ["memoryUsedBytes", 1_000 + 13 * 30_000],
    ]);
    expect(metricNames.map((name) => metricOf(sampleAt(0, null), name))).toEqual(metricNames.map(() => null));
  });
});

describe("the summary", () => {
  test.each([
    [[50, 50.2, 50.1, 50.3], "steady"],
    [[50, 51, null, 53], "rising"],
    [[53, 52, 51, 50], "falling"],
    [[50], null],
    [[null, null], null],
  ] as const)("of %j is %p", (percents, direction) => {
    expect(summarize(windowOf(percents)).memoryDirection).toBe(direction);
  });

  test("tells the budget, since when, and how often memory was not read", () => {
    const summary = summarize(windowOf([null, 40, 41]));
    expect(summary).toMatchObject({
      budget: { budgetBytes: 10 * GiB, source: "cgroup", cgroup: "/c" },
      sinceMs: 1_000,
      samples: 3,
      memoryGaps: 1,
    });
    expect(summarize(new SampleWindow(3))).toEqual({
      current: null,
      budget: null,
      memoryTrend: null,
      memoryDirection: null,
      sinceMs: null,
      samples: 0,
      memoryGaps: 0,
    });
  });
});
