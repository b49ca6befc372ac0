/**
 * How large the error will be, upwards and downwards: a regression of the error's two sides on what tells of it. Both
 * sides share much, so that each is mostly half of their sum.
 */
import { approach, at } from "./cells";
import { LEAST_ROOT, POWER_RATE } from "./features";
import {
  AVERAGE,
  DAY_ABOVE,
  DAY_BELOW,
  FAST_ERROR,
  FAST_STEP,
  HOUR_ABOVE,
  HOUR_BELOW,
  LARGEST_ERROR,
  MEDIAN_SHORT,
  PENDING_DAY,
  PENDING_HOUR,
  PENDING_SPREAD,
  PENDING_SPREAD_ABOVE,
  PENDING_SPREAD_BELOW,
  POINTS,
  REGRESSION_HEADER,
  SCORED,
  SHORT_WINDOW,
  SLOW_ERROR,
  SLOW_STEP,
  SPREAD_FEATURES,
  SPREAD_MODEL,
  SPREAD_POWER,
} from "./layout";
import { overlap } from "./overlap";
import { learnPair, predictRegression, startRegression } from "./regression";
import { median, spanOf } from "./sorted-window";
import { normalise } from "./vectors";

const FORGETTING: f64 = 0.9995;
const RIDGE: f64 = 20;
const CLIP: f64 = 10;
/** Weight of what both sides share. */
const SHARED: f64 = 0.8;
/** The spread is never less than this share of the usual error, nor than this in the value's unit. */
const LEAST_SHARE: f64 = 0.25;
const LEAST_SPREAD: f64 = 1e-3;
/** With fewer outcomes the usual error stands for the spread. */
const LEARNING: f64 = 30;
const FAST_RATE: f64 = 0.05;
const SLOW_RATE: f64 = 0.005;
/** The largest error lately loses this share of itself in a horizon. */
const LARGEST_LOSS: f64 = 0.003;
const PROFILE_RATE: f64 = 0.1;
const FAST_STEP_RATE: f64 = 0.2;
const SLOW_STEP_RATE: f64 = 0.03;

export function startSpread(cells: Float64Array): void {
  startRegression(cells, SPREAD_MODEL, SPREAD_FEATURES, 2, RIDGE);
}

/** Writes the features of the error to come, and the spread that they tell of, into the pending row. */
export function forecastSpread(cells: Float64Array, row: i32, value: f64, ahead: f64, step: f64): void {
  approach(cells, FAST_STEP, Math.abs(step), FAST_STEP_RATE);
  approach(cells, SLOW_STEP, Math.abs(step), SLOW_STEP_RATE);
  const to = row + PENDING_SPREAD;
  const hour = <i32>at(cells, row + PENDING_HOUR);
  const day = <i32>at(cells, row + PENDING_DAY);
  const fromMedian = value - median(cells, SHORT_WINDOW, MEDIAN_SHORT);
  cells[to] = at(cells, FAST_STEP);
  cells[to + 1] = at(cells, SLOW_STEP);
  cells[to + 2] = Math.abs(value - at(cells, AVERAGE));
  cells[to + 3] = Math.abs(value - at(cells, AVERAGE + 1));
  cells[to + 4] = at(cells, FAST_ERROR);
  cells[to + 5] = at(cells, SLOW_ERROR);
  cells[to + 6] = at(cells, HOUR_ABOVE + hour);
  cells[to + 7] = at(cells, HOUR_BELOW + hour);
  cells[to + 8] = Math.max(0, fromMedian);
  cells[to + 9] = Math.max(0, -fromMedian);
  cells[to + 10] = at(cells, DAY_ABOVE + day);
  cells[to + 11] = at(cells, DAY_BELOW + day);
  cells[to + 12] = Math.max(0, ahead);
  cells[to + 13] = Math.max(0, -ahead);
  cells[to + 14] = spanOf(cells, SHORT_WINDOW, MEDIAN_SHORT);
  cells[to + 15] = 1;
  const rate = Math.max(POWER_RATE, 1.0 / at(cells, POINTS));
  normalise(cells, to, SPREAD_POWER, SPREAD_FEATURES, rate, LEAST_ROOT);
  writeSpread(cells, row, to);
}

/** Learns from an error, outcome less forecast. */
export function learnSpread(cells: Float64Array, row: i32, error: f64): void {
  const above = Math.max(0, error);
  const below = Math.max(0, -error);
  const size = above + below;
  const start = 1.0 / at(cells, SCORED);
  approach(cells, FAST_ERROR, size, Math.max(FAST_RATE, start));
  approach(cells, SLOW_ERROR, size, Math.max(SLOW_RATE, start));
  const kept = 1.0 - LARGEST_LOSS / overlap(cells);
  cells[LARGEST_ERROR] = Math.max(size, kept * at(cells, LARGEST_ERROR));
  const hour = <i32>at(cells, row + PENDING_HOUR);
  const day = <i32>at(cells, row + PENDING_DAY);
  approach(cells, HOUR_ABOVE + hour, above, PROFILE_RATE);
  approach(cells, HOUR_BELOW + hour, below, PROFILE_RATE);
  approach(cells, DAY_ABOVE + day, above, PROFILE_RATE);
  approach(cells, DAY_BELOW + day, below, PROFILE_RATE);
  learnPair(cells, SPREAD_MODEL, row + PENDING_SPREAD, SPREAD_FEATURES, above, below, FORGETTING, CLIP);
}

function writeSpread(cells: Float64Array, row: i32, features: i32): void {
  const usual = at(cells, SLOW_ERROR);
  let above = usual * 0.5;
  let below = above;
  if (at(cells, SCORED) >= LEARNING) {
    const weights = SPREAD_MODEL + REGRESSION_HEADER;
    const up = Math.max(0, predictRegression(cells, weights, features, SPREAD_FEATURES));
    const down = Math.max(0, predictRegression(cells, weights + SPREAD_FEATURES, features, SPREAD_FEATURES));
    const shared = SHARED * 0.5 * (up + down);
    above = Math.max(shared + (1.0 - SHARED) * up, LEAST_SHARE * usual);
    below = Math.max(shared + (1.0 - SHARED) * down, LEAST_SHARE * usual);
  }
  cells[row + PENDING_SPREAD_ABOVE] = above + LEAST_SPREAD;
  cells[row + PENDING_SPREAD_BELOW] = below + LEAST_SPREAD;
}
