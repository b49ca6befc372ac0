import {
  BLOCK_POINTS,
  FIRST_SLOPE,
  NEXT,
  OUTPUT_AT_SECONDS,
  OUTPUT_BACKWARD,
  OUTPUT_NOT_FINITE,
  OUTPUT_REPEATED,
  OUTPUT_STATE,
  POINTS,
  RING,
  STATE_EMPTY,
  STEADY,
  STEADY_END,
  SUM_TIME,
} from "./layout";
import { LineFit } from "./line-fit";
import { startBlock } from "./line-sums";
import { prepare } from "./window-fill";

/** What a push answers; the order is part of the ABI. */
const ACCEPTED: i32 = 0;
const NOT_FINITE: i32 = 1;
const REPEATED: i32 = 2;
const BACKWARD: i32 = 3;

const MAX_MAGNITUDE: f64 = 1e100;
const MIN_STEP_SECONDS: f64 = 1e-6;
const SURE_SQUARES: f64 = 1e199;

/** Takes one point and brings the outputs up to date, or counts why it was refused. */
export function push(series: usize, tSeconds: f64, value: f64): i32 {
  const stepSeconds = tSeconds - load<f64>(series, OUTPUT_AT_SECONDS);
  // One test for both; a point beyond it may be good, and one within is.
  const good = stepSeconds >= MIN_STEP_SECONDS && tSeconds * tSeconds + value * value <= SURE_SQUARES;
  if (!good) return pushSpecially(series, tSeconds, value, stepSeconds);
  let place = load<usize>(series, NEXT);
  if (place === load<usize>(series, STEADY_END)) {
    if (load<i32>(series, STEADY) === 0) return pushSpecially(series, tSeconds, value, stepSeconds);
    store<usize>(series, startBlock(series, tSeconds, value), STEADY_END);
    place = load<usize>(series, NEXT);
  }
  store<f64>(series, tSeconds, OUTPUT_AT_SECONDS);
  LineFit.step(series, place, tSeconds, value, false);
  return ACCEPTED;
}

/** Forgets the window and the average; the counts of refusals stay. */
export function reset(series: usize): void {
  memory.fill(series + POINTS, 0, BLOCK_POINTS + 4 - POINTS);
  memory.fill(series + SUM_TIME, 0, RING - SUM_TIME);
  store<f64>(series, 0, FIRST_SLOPE);
  store<i32>(series, 0, STEADY);
  store<f64>(series, STATE_EMPTY, OUTPUT_STATE);
}

/** A push that is refused, or needs preparation, or is only large. */
function pushSpecially(series: usize, tSeconds: f64, value: f64, stepSeconds: f64): i32 {
  const refused = refusal(series, tSeconds, value, stepSeconds);
  if (refused !== ACCEPTED) return refused;
  store<f64>(series, tSeconds, OUTPUT_AT_SECONDS);
  const steady = load<usize>(series, NEXT) !== load<usize>(series, STEADY_END);
  if (steady || prepare(series, stepSeconds, tSeconds, value)) {
    LineFit.step(series, load<usize>(series, NEXT), tSeconds, value, true);
  }
  return ACCEPTED;
}

/** Why a point is refused, counted, or that it is not; the first may come at any time. */
function refusal(series: usize, tSeconds: f64, value: f64, stepSeconds: f64): i32 {
  if (!(abs(tSeconds) <= MAX_MAGNITUDE && abs(value) <= MAX_MAGNITUDE)) {
    return refuse(series, OUTPUT_NOT_FINITE, NOT_FINITE);
  }
  if (stepSeconds >= MIN_STEP_SECONDS || load<i32>(series, POINTS) === 0) return ACCEPTED;
  if (stepSeconds < 0) return refuse(series, OUTPUT_BACKWARD, BACKWARD);
  return refuse(series, OUTPUT_REPEATED, REPEATED);
}

function refuse(series: usize, counterOffset: usize, result: i32): i32 {
  const counter = series + counterOffset;
  store<f64>(counter, load<f64>(counter) + 1);
  return result;
}
