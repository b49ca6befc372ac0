import { coldHalfWidth } from "./cold-interval";
import {
  BASE_LEVERAGE,
  COLD_SUM,
  INVERSE_FREEDOM,
  INVERSE_POINTS,
  LAST_VALUE,
  MIN_POINTS,
  OUTPUT_AT_SECONDS,
  OUTPUT_BACKWARD,
  OUTPUT_HALF_WIDTH,
  OUTPUT_NOT_FINITE,
  OUTPUT_POINTS,
  OUTPUT_REPEATED,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_STATE,
  OUTPUT_VALUE,
  POINTS,
  QUANTILE,
  STATE_COLD,
  STATE_EMPTY,
  WINDOW_POINTS,
} from "./layout";
import { LineFit } from "./line-fit";
import { clear, LineSums } from "./line-sums";
import { studentT975 } from "./student-t";

/** What a push answers; the order is part of the ABI. */
const ACCEPTED: i32 = 0;
const NOT_FINITE: i32 = 1;
const REPEATED: i32 = 2;
const BACKWARD: i32 = 3;

const MAX_MAGNITUDE: f64 = 1e100;
const MIN_STEP_SECONDS: f64 = 1e-6;
/** Below this no line is ever fitted, and a window has no two halves. */
const FEWEST_LINE_POINTS: i32 = 3;

/** Takes one point and brings the outputs up to date, or counts why it was refused. */
export function push(series: usize, tSeconds: f64, value: f64): i32 {
  if (!(abs(tSeconds) <= MAX_MAGNITUDE && abs(value) <= MAX_MAGNITUDE)) {
    return refuse(series, OUTPUT_NOT_FINITE, NOT_FINITE);
  }
  let points = load<i32>(series, POINTS);
  const stepSeconds = tSeconds - load<f64>(series, OUTPUT_AT_SECONDS);
  if (!(stepSeconds >= MIN_STEP_SECONDS) && points > 0) {
    if (stepSeconds < 0) return refuse(series, OUTPUT_BACKWARD, BACKWARD);
    return refuse(series, OUTPUT_REPEATED, REPEATED);
  }
  store<f64>(series, tSeconds, OUTPUT_AT_SECONDS);
  const capacity = load<i32>(series, WINDOW_POINTS);
  const full = points === capacity;
  if (!full) points = lengthen(series, points, stepSeconds, value);
  if (capacity >= FEWEST_LINE_POINTS) {
    const suffix = LineSums.take(series, tSeconds, value, points, full);
    if (points >= load<i32>(series, MIN_POINTS)) {
      LineFit.forecast(series, suffix, tSeconds);
      return ACCEPTED;
    }
  }
  forecastCold(series, points, value);
  return ACCEPTED;
}

/** Forgets the window and the average; the counts of refusals stay. */
export function reset(series: usize): void {
  clear(series);
  store<f64>(series, STATE_EMPTY, OUTPUT_STATE);
}

/** Counts one more point, and what depends on the count alone. Answers the count. */
function lengthen(series: usize, before: i32, stepSeconds: f64, value: f64): i32 {
  const points = before + 1;
  store<i32>(series, points, POINTS);
  store<f64>(series, <f64>points, OUTPUT_POINTS);
  store<f64>(series, 1.0 / <f64>points, INVERSE_POINTS);
  store<f64>(series, 1.0 + 1.0 / <f64>points, BASE_LEVERAGE);
  if (points > 2) store<f64>(series, 1.0 / <f64>(points - 2), INVERSE_FREEDOM);
  store<f64>(series, studentT975(points - 2), QUANTILE);
  const increment = value - load<f64>(series, LAST_VALUE);
  const sum = before === 0 ? 0 : load<f64>(series, COLD_SUM) + (increment * increment) / stepSeconds;
  store<f64>(series, sum, COLD_SUM);
  store<f64>(series, value, LAST_VALUE);
  return points;
}

function refuse(series: usize, counterOffset: usize, result: i32): i32 {
  const counter = series + counterOffset;
  store<f64>(counter, load<f64>(counter) + 1);
  return result;
}

function forecastCold(series: usize, points: i32, last: f64): void {
  store<f64>(series, STATE_COLD, OUTPUT_STATE);
  store<f64>(series, last, OUTPUT_VALUE);
  store<f64>(series, last, OUTPUT_SMOOTHED);
  store<f64>(series, coldHalfWidth(series, points), OUTPUT_HALF_WIDTH);
  store<f64>(series, 0, OUTPUT_SLOPE_PER_SECOND);
}
