/** Errors that have risen for good are found, once; and nothing is found while nothing changes. */
import { describe, expect, test } from "bun:test";
import * as layout from "../../assembly/adaptive/layout.ts";
import {
  adaptiveOptions,
  autoregressive,
  feedStream,
  gaussian,
  noise,
  randomWalk,
  type Stream,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { seededRandom } from "./seeded-random.ts";

const quietPoints = 5_000;

/** Noise of which `alike` stays, whose deviation becomes `fold` after the first 5,000 points. */
function widening(seed: number, alike: number, fold: number, stepSeconds: number): Stream {
  const around = autoregressive(seed, alike);
  return (t) => 200 + (around(t) - 50) * (t < quietPoints * stepSeconds ? 1 : fold);
}

test.each<[string, (seed: number) => Stream, number]>([
  ["independent noise", (seed) => noise(seed), 30],
  ["slow noise", (seed) => autoregressive(seed, 0.9), 60],
  ["slow noise every 5 s", (seed) => autoregressive(seed, 0.9), 5],
  ["a walk", (seed) => randomWalk(seed), 30],
  // Its errors are rounding in the last digit.
  ["a constant", () => () => 42.5, 30],
])("nothing is found in 20,000 points of %s", (_, make, stepSeconds) => {
  for (let seed = 1; seed <= 3; seed++) {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    feedStream(series, make(seed), { points: 20_000, stepSeconds });
    expect(series.drifts, `seed ${seed}`).toBe(0);
  }
});

describe("errors that become five times as large and stay so", () => {
  // The running usual error takes 200 outcomes to follow, whatever their pace, so that a horizon of few points is slower.
  test.each([
    [30, 0, 8],
    [30, 0.9, 8],
    [60, 0, 12],
    [60, 0.9, 12],
  ])("every %i s, %d of them staying, are found once, within %i horizons", (stepSeconds, alike, horizons) => {
    for (let seed = 1; seed <= 6; seed++) {
      const series = wasmAdaptive.createSeries(adaptiveOptions);
      const stream = widening(seed, alike, 5, stepSeconds);
      let found = 0;
      feedStream(series, stream, { points: quietPoints, stepSeconds });
      expect(series.drifts).toBe(0);
      feedStream(series, stream, { points: 4_000, stepSeconds, from: quietPoints }, (i, _, t) => {
        if (!series.news().drifted) return;
        found = ((i - quietPoints) * stepSeconds) / 300;
        expect(series.save()[layout.DRIFT_SECONDS]).toBe(t);
      });
      expect(series.drifts, `seed ${seed}`).toBe(1);
      expect(found, `seed ${seed}`).toBeGreaterThan(1);
      expect(found, `seed ${seed}`).toBeLessThan(horizons);
    }
  });

  test("let the experts begin anew", () => {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    const stream = widening(1, 0, 5, 30);
    feedStream(series, stream, { points: quietPoints });
    for (let i = quietPoints; !series.news().drifted; i++) feedStream(series, stream, { points: 1, from: i });
    const cells = series.save();
    const losses = [...cells.slice(layout.LOSSES, layout.LOSSES + layout.EXPERTS)];
    expect(losses).toEqual([0, 20, 0, 0, 0, 0, 0]);
    expect(cells[layout.DRIFT_SEEN]).toBe(0);
  });
});

test.each([30, 60])(
  "a single step, which all forecasts of one horizon miss, is no drift, every %i s",
  (stepSeconds) => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = seededRandom(seed);
      const series = wasmAdaptive.createSeries(adaptiveOptions);
      const stream: Stream = (t) => 30 + (t < 3_000 * stepSeconds ? 0 : 40) + 0.5 * gaussian(random);
      feedStream(series, stream, { points: 3_000 + 300 / stepSeconds + 2, stepSeconds });
      expect(series.drifts, `seed ${seed}`).toBe(0);
    }
  },
);

test("nothing is found in the first hundred outcomes, whose usual error is not known", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  const random = seededRandom(1);
  for (let i = 0; i < 109; i++)
    series.push(startSeconds + i * 30, 500 + (i < 40 ? 0.01 : 100) * gaussian(random), 500);
  expect(series.drifts).toBe(0);
});
