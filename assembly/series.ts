import { coldHalfWidth } from "./cold-interval";
import { emaStep } from "./ema";
import {
  EMA_ALPHA,
  HORIZON_SECONDS,
  MIN_POINTS,
  OUTPUT_AT_SECONDS,
  OUTPUT_BACKWARD,
  OUTPUT_LOWER,
  OUTPUT_NOT_FINITE,
  OUTPUT_POINTS,
  OUTPUT_REPEATED,
  OUTPUT_RESIDUAL_DEVIATION,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_STATE,
  OUTPUT_TARGET_SECONDS,
  OUTPUT_UPPER,
  OUTPUT_VALUE,
  POINTS,
  STATE_COLD,
  STATE_EMPTY,
  STATE_READY,
  TIMES,
} from "./layout";
import {
  fitLine,
  meanTime,
  meanValue,
  originSeconds,
  originValue,
  slopePerSecond,
  sumSquaredResidual,
  sumSquaredTime,
} from "./ols";
import { append, clear, newest } from "./ring";
import { studentT975 } from "./student-t";

/** What a push answers; the order is part of the ABI. */
const ACCEPTED: i32 = 0;
const NOT_FINITE: i32 = 1;
const REPEATED: i32 = 2;
const BACKWARD: i32 = 3;

const MAX_MAGNITUDE: f64 = 1e100;
const MIN_STEP_SECONDS: f64 = 1e-6;

/** Takes one point and brings the outputs up to date, or counts why it was refused. */
export function push(series: usize, tSeconds: f64, value: f64): i32 {
  if (!(abs(tSeconds) <= MAX_MAGNITUDE && abs(value) <= MAX_MAGNITUDE)) {
    return refuse(series, OUTPUT_NOT_FINITE, NOT_FINITE);
  }
  if (load<i32>(series, POINTS) > 0) {
    const stepSeconds = tSeconds - load<f64>(newest(series), TIMES);
    if (stepSeconds < 0) return refuse(series, OUTPUT_BACKWARD, BACKWARD);
    if (stepSeconds < MIN_STEP_SECONDS) return refuse(series, OUTPUT_REPEATED, REPEATED);
  }
  append(series, tSeconds, value);
  const points = load<i32>(series, POINTS);
  store<f64>(series, <f64>points, OUTPUT_POINTS);
  store<f64>(series, tSeconds, OUTPUT_AT_SECONDS);
  store<f64>(series, tSeconds + load<f64>(series, HORIZON_SECONDS), OUTPUT_TARGET_SECONDS);
  if (points < load<i32>(series, MIN_POINTS)) forecastCold(series, value);
  else forecastLine(series, points, tSeconds);
  return ACCEPTED;
}

/** Forgets the window and the average; the counts of refusals stay. */
export function reset(series: usize): void {
  clear(series);
  store<f64>(series, STATE_EMPTY, OUTPUT_STATE);
}

function refuse(series: usize, counterOffset: usize, result: i32): i32 {
  const counter = series + counterOffset;
  store<f64>(counter, load<f64>(counter) + 1);
  return result;
}

function forecastCold(series: usize, last: f64): void {
  const halfWidth = coldHalfWidth(series);
  store<f64>(series, STATE_COLD, OUTPUT_STATE);
  store<f64>(series, last, OUTPUT_VALUE);
  store<f64>(series, last, OUTPUT_SMOOTHED);
  store<f64>(series, last - halfWidth, OUTPUT_LOWER);
  store<f64>(series, last + halfWidth, OUTPUT_UPPER);
  store<f64>(series, 0, OUTPUT_SLOPE_PER_SECOND);
  store<f64>(series, halfWidth, OUTPUT_RESIDUAL_DEVIATION);
}

function forecastLine(series: usize, points: i32, tSeconds: f64): void {
  fitLine(series);
  const fromMean = tSeconds - originSeconds - meanTime + load<f64>(series, HORIZON_SECONDS);
  const value = originValue + (meanValue + slopePerSecond * fromMean);
  const variance = sumSquaredResidual / <f64>(points - 2);
  const leverage = 1.0 + 1.0 / <f64>points + (fromMean * fromMean) / sumSquaredTime;
  const halfWidth = studentT975(points - 2) * sqrt(variance * leverage);
  const smoothed =
    load<f64>(series, OUTPUT_STATE) === STATE_READY
      ? emaStep(load<f64>(series, OUTPUT_SMOOTHED), value, load<f64>(series, EMA_ALPHA))
      : value;
  store<f64>(series, STATE_READY, OUTPUT_STATE);
  store<f64>(series, value, OUTPUT_VALUE);
  store<f64>(series, smoothed, OUTPUT_SMOOTHED);
  store<f64>(series, value - halfWidth, OUTPUT_LOWER);
  store<f64>(series, value + halfWidth, OUTPUT_UPPER);
  store<f64>(series, slopePerSecond, OUTPUT_SLOPE_PER_SECOND);
  store<f64>(series, sqrt(variance), OUTPUT_RESIDUAL_DEVIATION);
}
