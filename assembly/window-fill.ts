/** Everything about a push that is not so in a full, ready window in the middle of a block. */
import { coldHalfWidth } from "./cold-interval";
import {
  BASE_WIDTH,
  BLOCK_END,
  COLD_SUM,
  INVERSE_POINTS,
  LAST_VALUE,
  MIN_POINTS,
  MODE,
  NEXT,
  OUTPUT_INTERVAL,
  OUTPUT_POINTS,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_STATE,
  OUTPUT_VALUE,
  POINT_BYTES,
  POINTS,
  STATE_COLD,
  STATE_READY,
  STEADY,
  STEADY_END,
  WIDTH_FACTOR,
  WINDOW_POINTS,
} from "./layout";
import { clearSuffix, startBlock, startSlope } from "./line-sums";
import { studentT975 } from "./student-t";

/** Below this no line is ever fitted, and a window has no two halves. */
const FEWEST_LINE_POINTS: i32 = 3;
const STEP: i32 = 0;
const START: i32 = 1;
const COLD: i32 = 2;

/**
 * Prepares the push of a point: starts a block, lengthens a window that is not full. False when the window is too small
 * for sums, and the push done.
 */
export function prepare(series: usize, stepSeconds: f64, tSeconds: f64, value: f64): bool {
  const capacity = load<i32>(series, WINDOW_POINTS);
  const before = load<i32>(series, POINTS);
  const full = before === capacity;
  const points = full ? before : lengthen(series, before, stepSeconds, value);
  if (points < load<i32>(series, MIN_POINTS)) store<i32>(series, COLD, MODE);
  else store<i32>(series, load<f64>(series, OUTPUT_STATE) === STATE_READY ? STEP : START, MODE);
  if (full && capacity >= FEWEST_LINE_POINTS) store<i32>(series, 1, STEADY);
  if (capacity < FEWEST_LINE_POINTS) {
    forecastCold(series, value);
    return false;
  }
  if (full || load<usize>(series, NEXT) === load<usize>(series, BLOCK_END)) {
    store<usize>(series, startBlock(series, tSeconds, value), BLOCK_END);
  }
  clearSuffixWhileFilling(series, full);
  if (points === 2) startSlope(series, tSeconds, value);
  return true;
}

/** Nothing leaves a window that is not full, and its next push needs preparing too. */
function clearSuffixWhileFilling(series: usize, full: bool): void {
  const next = load<usize>(series, NEXT);
  if (!full) clearSuffix(next);
  store<usize>(series, full ? load<usize>(series, BLOCK_END) : next + POINT_BYTES, STEADY_END);
}

/** Writes a cold forecast and answers true, or starts the average when this is the first forecast of a line. */
export function isCold(series: usize, last: f64, value: f64): bool {
  const mode = load<i32>(series, MODE);
  if (mode === COLD) {
    forecastCold(series, last);
    return true;
  }
  if (mode === START) store<f64>(series, value, OUTPUT_SMOOTHED);
  store<f64>(series, STATE_READY, OUTPUT_STATE);
  return false;
}

/** Counts one more point, and what depends on the count alone. Answers the count. */
function lengthen(series: usize, before: i32, stepSeconds: f64, value: f64): i32 {
  const points = before + 1;
  store<i32>(series, points, POINTS);
  store<f64>(series, <f64>points, OUTPUT_POINTS);
  store<f64>(series, 1.0 / <f64>points, INVERSE_POINTS);
  const quantile = studentT975(points - 2);
  const factor = (quantile * quantile) / <f64>max(points - 2, 1);
  store<f64>(series, factor, WIDTH_FACTOR);
  store<f64>(series, factor * (1.0 + 1.0 / <f64>points), BASE_WIDTH);
  const increment = value - load<f64>(series, LAST_VALUE);
  const sum = before === 0 ? 0 : load<f64>(series, COLD_SUM) + (increment * increment) / stepSeconds;
  store<f64>(series, sum, COLD_SUM);
  store<f64>(series, value, LAST_VALUE);
  return points;
}

function forecastCold(series: usize, last: f64): void {
  store<f64>(series, STATE_COLD, OUTPUT_STATE);
  store<f64>(series, last, OUTPUT_VALUE);
  store<f64>(series, last, OUTPUT_SMOOTHED);
  store<f64>(series, coldHalfWidth(series, load<i32>(series, POINTS)), OUTPUT_INTERVAL);
  store<f64>(series, 0, OUTPUT_SLOPE_PER_SECOND);
}
