/** What one outcome teaches the experts and the drift test, worked by hand. */
import { expect, test } from "bun:test";
import { detectDrift } from "../../assembly/adaptive/drift.ts";
import { forecastExperts, learnOutcome, startExperts } from "../../assembly/adaptive/experts.ts";
import * as layout from "../../assembly/adaptive/layout.ts";
import { pushSorted } from "../../assembly/adaptive/sorted-window.ts";
import {
  adaptiveForecastOf,
  adaptiveOptions,
  autoregressive,
  feedStream,
  jsAdaptive,
  newestRow,
  startSeconds,
} from "./adaptive-streams.ts";

const row = layout.PENDING;

test("losses are forgotten by 0.998, in units of the last value's usual error, and count ten at most", () => {
  const cells = new Float64Array(layout.CELLS);
  [cells[layout.HORIZON_SECONDS], cells[layout.TYPICAL_STEP]] = [300, 60];
  startExperts(cells);
  cells[layout.SCORED] = 1_000;
  cells[layout.LAST_VALUE_ERROR] = 2;
  cells.fill(1, layout.LOSSES, layout.LOSSES + layout.EXPERTS);
  // Last value, line, scales, autoregression, periodic; the outcome is 54.
  cells.set([50, 54, 53, 60, 1_000], row + layout.PENDING_EXPERTS);
  cells[row + layout.PENDING_ORIGIN] = 50;
  learnOutcome(cells, row, 54);
  // The last value missed by 4: the usual error moves a hundredth of the way, from 2 to 2.02.
  const usual = 2.02;
  expect(cells[layout.LAST_VALUE_ERROR]).toBeCloseTo(usual, 12);
  [4 / usual, 0, 1 / usual, 6 / usual, 10].forEach((loss, i) => {
    expect(cells[layout.LOSSES + i]).toBeCloseTo(0.998 + loss, 6);
  });
});

test("a drift is found by the excess over the mean and half a mean, after a hundred errors", () => {
  const cells = new Float64Array(layout.CELLS);
  const usual = 1 - 1e-3; // 1e-3 is added to it
  cells[layout.SLOW_ERROR] = usual;
  // 40 errors of 0, then 5: the hundredth is the first that may be found.
  for (let i = 1; i <= 40; i++) detectDrift(cells, i, 0);
  for (let i = 41; i < 100; i++) detectDrift(cells, i, -5);
  expect([cells[layout.DRIFTS], cells[layout.OUTPUT_DRIFTED]]).toEqual([0, 0]);
  // Σ of 5 less the mean so far, 5 k / (40 + k), less 0.5, above the least sum, 40 × -0.5.
  let excess = 0;
  for (let k = 1; k <= 59; k++) excess += 5 - (5 * k) / (40 + k) - 0.5;
  expect((cells[layout.DRIFT_SUM] as number) - (cells[layout.DRIFT_LEAST] as number)).toBeCloseTo(excess, 9);
  expect(cells[layout.DRIFT_LEAST]).toBeCloseTo(-20, 9);
  detectDrift(cells, 100, 1e9);
  expect([cells[layout.DRIFTS], cells[layout.OUTPUT_DRIFTED], cells[layout.DRIFT_SECONDS]]).toEqual([
    1, 1, 100,
  ]);
  expect(cells.slice(layout.DRIFT_MEAN, layout.DRIFT_SEEN + 1)).toEqual(new Float64Array(4));
});

test("each regression forecasts by its own weights on its own features", () => {
  const series = jsAdaptive.createSeries(adaptiveOptions);
  feedStream(series, autoregressive(1, 0.9), { points: 700 });
  const cells = series.save();
  const newest = newestRow(cells);
  const { SCALES_MODEL, AUTOREGRESSION_MODEL, PERIODIC_MODEL } = layout;
  for (const [expert, model, first, count] of [
    [layout.EXPERT_SCALES, SCALES_MODEL, 0, 6],
    [layout.EXPERT_AUTOREGRESSION, AUTOREGRESSION_MODEL, 4, 10],
    [layout.EXPERT_PERIODIC, PERIODIC_MODEL, 0, 22],
  ] as const) {
    let forecast = cells[layout.LAST_VALUE] as number;
    for (let i = 0; i < count; i++)
      forecast +=
        (cells[model + 4 + i] as number) * (cells[newest + layout.PENDING_FEATURES + first + i] as number);
    expect(cells[newest + layout.PENDING_EXPERTS + expert]).toBeCloseTo(forecast, 9);
  }
});

test("a thousandth of a unit is added to the usual error of a drift, so that rounding is none", () => {
  const cells = new Float64Array(layout.CELLS);
  detectDrift(cells, 1, 0.0025);
  expect(cells[layout.DRIFT_MEAN]).toBeCloseTo(2.5, 9);
});

test("no regression forecasts more than the range of the last 200 points beyond them", () => {
  const cells = new Float64Array(layout.CELLS);
  startExperts(cells);
  for (const value of [40, 60, 50]) pushSorted(cells, layout.LONG_WINDOW, layout.MEDIAN_LONG, value);
  cells.fill(1, row + layout.PENDING_FEATURES, row + layout.PENDING_SPREAD);
  const { SCALES_MODEL, AUTOREGRESSION_MODEL, PERIODIC_MODEL } = layout;
  // Weights that say 70, 50 + 10 × 100 and 50 - 22 × 100 at 50; the range is 20.
  cells[SCALES_MODEL + 4] = 20;
  cells.fill(100, AUTOREGRESSION_MODEL + 4, AUTOREGRESSION_MODEL + 14);
  cells.fill(-100, PERIODIC_MODEL + 4, PERIODIC_MODEL + 26);
  forecastExperts(cells, row, 50, 1_000);
  const forecasts = cells.slice(row + layout.PENDING_EXPERTS, row + layout.PENDING_FEATURES);
  // The damped one goes seven tenths of the way to 20; the mean is that of 50, 70, 80 and 20.
  const expected = [50, 1_000, 70, 80, 20, 29, 55];
  expect(forecasts.length).toBe(expected.length);
  expected.forEach((forecast, i) => {
    expect(forecasts[i]).toBeCloseTo(forecast, 9);
  });
});

test("an error is judged for a drift by what was usual before it", () => {
  const series = jsAdaptive.createSeries({ ...adaptiveOptions, horizonSeconds: 60 });
  series.push(startSeconds, 50, 50);
  series.push(startSeconds + 60, 54, 54);
  // Before the first error none was usual: it counts the most, 5.
  expect(series.save()[layout.DRIFT_MEAN]).toBe(5);
});

test("no forecast lies below 0, whatever the line says", () => {
  const series = jsAdaptive.createSeries(adaptiveOptions);
  series.push(startSeconds, 1, -1_000);
  const cells = series.save();
  expect(cells[newestRow(cells) + layout.PENDING_VALUE]).toBe(0);
  expect(adaptiveForecastOf(series)).toMatchObject({ value: 0, lower: 0, atLeast: 0 });
});
