/**
 * One adaptive forecaster. A point first settles the forecasts that it is the outcome of, then gives features, and the
 * features a forecast with its interval, which waits for its own outcome.
 */
import { approach, at } from "./cells";
import { forecastBounds, judgeCalibration, learnCoverage, startConformal } from "./conformal";
import { detectDrift, startDrift } from "./drift";
import { forecastExperts, learnOutcome, startExperts } from "./experts";
import { takeFeatures } from "./features";
import {
  AHEAD,
  AHEAD_AT_LEAST,
  AHEAD_AT_MOST,
  AHEAD_LOWER,
  AHEAD_UPPER,
  CELLS,
  FIRST_SECONDS,
  HORIZON_SECONDS,
  LAST_SECONDS,
  LAST_VALUE,
  MISSED,
  OUTPUT_AT_LEAST,
  OUTPUT_AT_MOST,
  OUTPUT_DRIFTED,
  OUTPUT_LOWER,
  OUTPUT_RISE,
  OUTPUT_SURPRISE,
  OUTPUT_UPPER,
  OUTPUT_VALUE,
  PENDING,
  PENDING_AT_LEAST,
  PENDING_AT_MOST,
  PENDING_CAPACITY,
  PENDING_COUNT,
  PENDING_FIELDS,
  PENDING_FIRST,
  PENDING_LOWER,
  PENDING_ORIGIN,
  PENDING_TARGET,
  PENDING_UPPER,
  PENDING_VALUE,
  POINTS,
  REFUSED_BACKWARD,
  REFUSED_NOT_FINITE,
  REFUSED_REPEATED,
  SCORED,
  SEEN,
  TAKEN,
  TAKEN_PER_HORIZON,
  TAKEN_SECONDS,
  TYPICAL_STEP,
} from "./layout";
import { measureRise } from "./rise";
import { shiftLevel, shiftTimes } from "./shift";
import { forecastSpread, learnSpread, startSpread } from "./spread";

/** What a push answers. */
const ACCEPTED: i32 = 0;
const NOT_FINITE: i32 = 1;
const REPEATED: i32 = 2;
const BACKWARD: i32 = 3;

const MAX_MAGNITUDE: f64 = 1e100;
const MIN_STEP_SECONDS: f64 = 1e-6;
const STEP_RATE: f64 = 0.05;
/** A gap among so many first points is soon forgotten. */
const FIRST_STEPS: f64 = 10;
/** After so many usual steps without a point, the last difference tells nothing. */
const GAP_STEPS: f64 = 5;

/** Forgets everything but the options, which the host has written. */
export function start(cells: Float64Array): void {
  cells.fill(0, POINTS, CELLS);
  startExperts(cells);
  startSpread(cells);
  startConformal(cells);
  startDrift(cells);
}

/** Takes a point and brings the outputs up to date. `line` is the fitted line's forecast at this point. */
export function push(cells: Float64Array, tSeconds: f64, value: f64, line: f64): i32 {
  const refused = refusal(cells, tSeconds, value, line);
  if (refused !== ACCEPTED) return refused;
  const points = at(cells, POINTS);
  const step = tSeconds - at(cells, LAST_SECONDS);
  if (points === 0) {
    cells[FIRST_SECONDS] = tSeconds;
    cells[TAKEN] = value;
    cells[TAKEN_SECONDS] = tSeconds - at(cells, HORIZON_SECONDS);
  } else {
    learnStep(cells, points, step);
  }
  cells[SEEN] = at(cells, SEEN) + 1;
  cells[LAST_SECONDS] = tSeconds;
  cells[LAST_VALUE] = value;
  cells[OUTPUT_DRIFTED] = 0;
  cells[OUTPUT_RISE] = 0;
  cells[OUTPUT_SURPRISE] = 0;
  settle(cells, tSeconds, value);
  const since = tSeconds - at(cells, TAKEN_SECONDS);
  if (points === 0 || since * TAKEN_PER_HORIZON >= at(cells, HORIZON_SECONDS))
    take(cells, tSeconds, value, line, since);
  publish(cells, tSeconds, value);
  return ACCEPTED;
}

function learnStep(cells: Float64Array, points: f64, step: f64): void {
  const usual = at(cells, TYPICAL_STEP);
  if (points === 1 || (points <= FIRST_STEPS && 2 * step < usual)) cells[TYPICAL_STEP] = step;
  else approach(cells, TYPICAL_STEP, Math.max(0.5 * usual, Math.min(2 * usual, step)), STEP_RATE);
}

/** Forecasts whose time has come meet their outcome, or are dropped when it fell into a gap. */
function settle(cells: Float64Array, tSeconds: f64, value: f64): void {
  const late = 1.5 * at(cells, TYPICAL_STEP);
  while (at(cells, PENDING_COUNT) > 0) {
    const first = <i32>at(cells, PENDING_FIRST);
    const row = PENDING + first * PENDING_FIELDS;
    const target = at(cells, row + PENDING_TARGET);
    if (tSeconds < target) return;
    if (tSeconds - target < late) learn(cells, row, tSeconds, value);
    else cells[MISSED] = at(cells, MISSED) + 1;
    cells[PENDING_FIRST] = <f64>(first + 1 === PENDING_CAPACITY ? 0 : first + 1);
    cells[PENDING_COUNT] = at(cells, PENDING_COUNT) - 1;
  }
}

function learn(cells: Float64Array, row: i32, tSeconds: f64, outcome: f64): void {
  cells[SCORED] = at(cells, SCORED) + 1;
  const error = outcome - at(cells, row + PENDING_VALUE);
  learnCoverage(cells, row, outcome);
  learnOutcome(cells, row, outcome);
  detectDrift(cells, tSeconds, error);
  learnSpread(cells, row, error);
}

/** Takes features of the point and makes a forecast of them. */
function take(cells: Float64Array, tSeconds: f64, value: f64, line: f64, since: f64): void {
  const points = at(cells, POINTS) + 1;
  cells[POINTS] = points;
  const gap = points > 1 && since > Math.max(GAP_STEPS * at(cells, TYPICAL_STEP), at(cells, HORIZON_SECONDS));
  const step = gap || points === 1 ? 0 : value - at(cells, TAKEN);
  cells[TAKEN] = value;
  cells[TAKEN_SECONDS] = tSeconds;
  const row = nextRow(cells);
  takeFeatures(cells, row, tSeconds, value, step);
  measureRise(cells, tSeconds, value);
  const forecast = Math.max(0, forecastExperts(cells, row, value, line));
  forecastSpread(cells, row, value, forecast - value, step);
  forecastBounds(cells, row, tSeconds, value, forecast - value);
  cells[AHEAD] = forecast - value;
  cells[row + PENDING_TARGET] = tSeconds + at(cells, HORIZON_SECONDS);
  cells[row + PENDING_ORIGIN] = value;
  cells[row + PENDING_VALUE] = forecast;
  cells[row + PENDING_LOWER] = value + at(cells, AHEAD_LOWER);
  cells[row + PENDING_UPPER] = value + at(cells, AHEAD_UPPER);
  cells[row + PENDING_AT_LEAST] = value + at(cells, AHEAD_AT_LEAST);
  cells[row + PENDING_AT_MOST] = value + at(cells, AHEAD_AT_MOST);
}

/** The row after the last that waits; the first one gives way when all are taken, which the pace of taking prevents. */
function nextRow(cells: Float64Array): i32 {
  let count = <i32>at(cells, PENDING_COUNT);
  let first = <i32>at(cells, PENDING_FIRST);
  if (count === PENDING_CAPACITY) {
    first = first + 1 === PENDING_CAPACITY ? 0 : first + 1;
    cells[PENDING_FIRST] = <f64>first;
    count -= 1;
  }
  cells[PENDING_COUNT] = <f64>(count + 1);
  const place = first + count;
  return PENDING + (place < PENDING_CAPACITY ? place : place - PENDING_CAPACITY) * PENDING_FIELDS;
}

/** Moves every level by a step whose cause is known; nothing before the first point, or by what is no number. */
export function shift(cells: Float64Array, step: f64): void {
  if (at(cells, POINTS) === 0 || !(Math.abs(step) <= MAX_MAGNITUDE)) return;
  shiftLevel(cells, step);
  publish(cells, at(cells, LAST_SECONDS), at(cells, LAST_VALUE));
}

/** The clock was set: moves every time by `seconds`; by nothing where that is no number. */
export function moveClock(cells: Float64Array, seconds: f64): void {
  if (at(cells, POINTS) > 0 && Math.abs(seconds) <= MAX_MAGNITUDE) shiftTimes(cells, seconds);
}

/** The newest forecast as seen from the newest point. */
function publish(cells: Float64Array, tSeconds: f64, value: f64): void {
  cells[OUTPUT_VALUE] = Math.max(0, value + at(cells, AHEAD));
  cells[OUTPUT_LOWER] = Math.max(0, value + at(cells, AHEAD_LOWER));
  cells[OUTPUT_UPPER] = Math.max(0, value + at(cells, AHEAD_UPPER));
  cells[OUTPUT_AT_LEAST] = Math.max(0, value + at(cells, AHEAD_AT_LEAST));
  cells[OUTPUT_AT_MOST] = Math.max(0, value + at(cells, AHEAD_AT_MOST));
  judgeCalibration(cells, tSeconds);
}

/** Why a point is refused, counted, or that it is not; the first may come at any time. */
function refusal(cells: Float64Array, tSeconds: f64, value: f64, line: f64): i32 {
  const finite =
    Math.abs(tSeconds) <= MAX_MAGNITUDE &&
    Math.abs(value) <= MAX_MAGNITUDE &&
    Math.abs(line) <= MAX_MAGNITUDE;
  if (!finite) return refuse(cells, REFUSED_NOT_FINITE, NOT_FINITE);
  const step = tSeconds - at(cells, LAST_SECONDS);
  if (at(cells, POINTS) === 0 || step >= MIN_STEP_SECONDS) return ACCEPTED;
  return step < 0 ? refuse(cells, REFUSED_BACKWARD, BACKWARD) : refuse(cells, REFUSED_REPEATED, REPEATED);
}

function refuse(cells: Float64Array, counter: i32, result: i32): i32 {
  cells[counter] = at(cells, counter) + 1;
  return result;
}
