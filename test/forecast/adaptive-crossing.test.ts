/** The interval of the time to the threshold, against the equation whose roots its ends are (Fieller 1954). */
import { expect, test } from "bun:test";
import {
  adaptiveOptions,
  autoregressive,
  feedStream,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { expectClose } from "./closeness.ts";

const step = 30;

test.each([
  // Slope a minute, and how far beyond the last point the line meets the threshold, in minutes.
  [0.4, 10],
  [0.4, 200],
  [2, 1],
  [0.2, 60],
])(
  "a climb of %d a minute, %d minutes before: the line is as far from the threshold as its margin",
  (slope, away) => {
    let found = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const around = autoregressive(seed, 0.5);
      const values: number[] = [];
      const series = wasmAdaptive.createSeries(adaptiveOptions);
      feedStream(
        series,
        (t) => around(t) + 30 + (t / 60 - 24.5 - away) * slope,
        { points: 50, stepSeconds: step },
        (_, value) => values.push(value),
      );
      const { slopePerSecond, slopeUpper, crossing } = series.trend();
      if (crossing === null) continue;
      found++;
      const { seconds, earliestSeconds, latestSeconds } = crossing;
      expect(seconds).toBeCloseTo(Math.max(0, 80 - (values.at(-1) as number)) / slopePerSecond, 6);
      // The variance of 50 times a step apart is (50² - 1) / 12 steps squared.
      const spread = ((50 ** 2 - 1) / 12) * step ** 2;
      const distance = 80 - values.reduce((sum, value) => sum + value, 0) / 50;
      for (const end of [earliestSeconds, latestSeconds]) {
        if (end === seconds || end === 0) continue;
        const fromMean = end + 24.5 * step;
        const margin = (slopeUpper - slopePerSecond) * Math.sqrt(spread + fromMean ** 2);
        expectClose(Math.abs(distance - slopePerSecond * fromMean), margin, 1e-6, `seed ${seed}, ${end} s`);
      }
      expect(earliestSeconds).toBeLessThanOrEqual(seconds);
      expect(latestSeconds).toBeGreaterThanOrEqual(seconds);
    }
    expect(found).toBeGreaterThan(10);
  },
);

test("holds the time from the newest value even where that is far from the line", () => {
  for (const [newest, side] of [
    [20, "latestSeconds"],
    [79, "earliestSeconds"],
  ] as const) {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    feedStream(series, (t) => 20 + t / 60, { points: 50, stepSeconds: step });
    // 4 s after the last point that was taken, so that the line knows nothing of it.
    series.push(startSeconds + 49 * step + 4, newest, newest);
    const { crossing } = series.trend();
    expect(crossing?.seconds).toBeCloseTo((80 - newest) * 60, 3);
    expect(crossing?.[side]).toBe(crossing?.seconds as number);
  }
});

test("is all zeros once the newest value has crossed, whatever the line says", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  feedStream(series, (t) => 20 + t / 60 + (t % 60) / 30, { points: 50, stepSeconds: step });
  series.push(startSeconds + 49 * step + 4, 80, 80);
  expect(series.trend().crossing).toEqual({ seconds: 0, earliestSeconds: 0, latestSeconds: 0 });
});
