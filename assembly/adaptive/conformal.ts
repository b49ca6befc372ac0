/**
 * The interval: errors in units of the spread that was told beforehand, their empirical quantile over the last ones,
 * and a miscoverage that is corrected after each outcome (adaptive conformal inference, Gibbs and Candès 2021). No
 * distribution is assumed. While few horizons have passed the interval is wider: errors of overlapping horizons are
 * one experience, not many.
 */
import { approach, at } from "./cells";
import {
  AHEAD_AT_LEAST,
  AHEAD_AT_MOST,
  AHEAD_LOWER,
  AHEAD_UPPER,
  ALPHA_ABOVE,
  ALPHA_BELOW,
  ALPHA_BOTH,
  COLD_HALF_WIDTH,
  COVERED,
  DUE_ERRORS,
  ERRORS,
  FIRST_SECONDS,
  HORIZON_SECONDS,
  JUDGED,
  LARGEST_ERROR,
  MEDIAN_SHORT,
  OUTPUT_STATE,
  OUTPUT_SURPRISE,
  PENDING_AT_LEAST,
  PENDING_AT_MOST,
  PENDING_LOWER,
  PENDING_SPREAD_ABOVE,
  PENDING_SPREAD_BELOW,
  PENDING_UPPER,
  PENDING_VALUE,
  POINTS,
  RECENT_COVERAGE,
  SCALED_ERRORS,
  SCORED,
  SHORT_WINDOW,
  SORTED_HEADER,
  STATE_CALIBRATED,
  STATE_CALIBRATING,
  STATE_MISCALIBRATED,
} from "./layout";
import { overlap, pace } from "./overlap";
import { pushSorted, quantile, sortedCount } from "./sorted-window";

const ALPHA: f64 = 0.05;
const GAMMA: f64 = 0.003;
/** How far beyond the largest error of the window a quantile may lie. */
const BEYOND: f64 = 0.3;
/** So many errors of a horizon are kept once the window is full. */
const DENSITY: f64 = 5;
const LEAST_ALPHA: f64 = -0.5;
/** No bound is further off than so many times the largest error lately. */
const MOST_OF_LARGEST: f64 = 1;
/** With fewer errors there is no quantile. */
const FEWEST_ERRORS: i32 = 5;
/** Outcomes before which the miscoverage is not corrected. */
const JUDGED_FROM: f64 = 20;
/** An error of one unit is possible at first; the more horizons passed without, the less, and in the end not at all. */
const POSSIBLE: f64 = 1;
const POSSIBLE_HORIZONS: f64 = 40;
/** What is recent: some 25 horizons of five outcomes or more; see `pace`. */
const RECENT_RATE: f64 = 0.008;
/** It is calibrated after so many horizons, and as long as so many of the recent outcomes were inside. */
const CALIBRATED_HORIZONS: f64 = 20;
const LEAST_COVERAGE: f64 = 0.9;

export function startConformal(cells: Float64Array): void {
  cells[ALPHA_BOTH] = ALPHA;
  // One side is missed by half of those that miss either.
  cells[ALPHA_ABOVE] = 2 * ALPHA;
  cells[ALPHA_BELOW] = 2 * ALPHA;
  cells[RECENT_COVERAGE] = 1.0 - ALPHA;
  cells[DUE_ERRORS] = 0.5;
}

/** Writes the bounds of the forecast that was made at `value` into `AHEAD_…`; `ahead` is the forecast less `value`. */
export function forecastBounds(cells: Float64Array, row: i32, tSeconds: f64, value: f64, ahead: f64): void {
  const horizon = at(cells, HORIZON_SECONDS);
  const horizons = Math.max(0.2, (tSeconds - at(cells, FIRST_SECONDS) - horizon) / horizon);
  if (sortedCount(cells, SCALED_ERRORS) < FEWEST_ERRORS) {
    coldBounds(cells, value, ahead);
    return;
  }
  const caution = 1.0 + 1.0 / horizons;
  const least = (POSSIBLE / horizons) * Math.max(0, 1.0 - horizons / POSSIBLE_HORIZONS);
  const most = MOST_OF_LARGEST * caution * at(cells, LARGEST_ERROR);
  const above = at(cells, row + PENDING_SPREAD_ABOVE);
  const below = at(cells, row + PENDING_SPREAD_BELOW);
  const both = caution * quantile(cells, SCALED_ERRORS, ERRORS, 1.0 - at(cells, ALPHA_BOTH), BEYOND);
  cells[AHEAD_UPPER] = ahead + within(both * above, least, most);
  cells[AHEAD_LOWER] = ahead - within(both * below, least, most);
  const up = caution * quantile(cells, SCALED_ERRORS, ERRORS, 1.0 - at(cells, ALPHA_ABOVE), BEYOND);
  const down = caution * quantile(cells, SCALED_ERRORS, ERRORS, 1.0 - at(cells, ALPHA_BELOW), BEYOND);
  cells[AHEAD_AT_MOST] = ahead + within(up * above, least, most);
  cells[AHEAD_AT_LEAST] = ahead - within(down * below, least, most);
}

/** Learns whether the bounds held. */
export function learnCoverage(cells: Float64Array, row: i32, outcome: f64): void {
  const value = at(cells, row + PENDING_VALUE);
  const upper = at(cells, row + PENDING_UPPER);
  const lower = at(cells, row + PENDING_LOWER);
  const error = outcome - value;
  const inside = outcome <= upper && outcome >= lower;
  if (at(cells, SCORED) > JUDGED_FROM) {
    cells[JUDGED] = at(cells, JUDGED) + 1;
    if (inside) cells[COVERED] = at(cells, COVERED) + 1;
    approach(cells, RECENT_COVERAGE, inside ? 1 : 0, RECENT_RATE * pace(cells));
    correct(cells, ALPHA_BOTH, inside);
    correct(cells, ALPHA_ABOVE, outcome <= at(cells, row + PENDING_AT_MOST));
    correct(cells, ALPHA_BELOW, outcome >= at(cells, row + PENDING_AT_LEAST));
  }
  const halfWidth = error > 0 ? upper - value : value - lower;
  cells[OUTPUT_SURPRISE] = Math.abs(error) / (halfWidth + 1e-9);
  const spread = at(cells, error > 0 ? row + PENDING_SPREAD_ABOVE : row + PENDING_SPREAD_BELOW);
  keepError(cells, Math.abs(error) / spread);
}

/** Keeps an error, or leaves it out: the more horizons overlap, the fewer, so that the window reaches far back. */
function keepError(cells: Float64Array, scaled: f64): void {
  const filled = <f64>sortedCount(cells, SCALED_ERRORS) / <f64>ERRORS;
  const stride = 1.0 + Math.max(0, overlap(cells) / DENSITY - 1) * filled;
  const due = at(cells, DUE_ERRORS) + 1.0 / stride;
  cells[DUE_ERRORS] = due >= 1.0 ? due - 1.0 : due;
  if (due >= 1.0) pushSorted(cells, SCALED_ERRORS, ERRORS, scaled);
}

/** Says how far the interval can be trusted. */
export function judgeCalibration(cells: Float64Array, tSeconds: f64): void {
  const passed = tSeconds - at(cells, FIRST_SECONDS);
  const enough = passed >= (CALIBRATED_HORIZONS + 1) * at(cells, HORIZON_SECONDS);
  if (!enough || at(cells, SCORED) < JUDGED_FROM) cells[OUTPUT_STATE] = STATE_CALIBRATING;
  else if (at(cells, RECENT_COVERAGE) < LEAST_COVERAGE) cells[OUTPUT_STATE] = STATE_MISCALIBRATED;
  else cells[OUTPUT_STATE] = STATE_CALIBRATED;
}

/** Moves a miscoverage towards what makes `ALPHA` of the outcomes miss. */
function correct(cells: Float64Array, alpha: i32, held: boolean): void {
  const moved = at(cells, alpha) + GAMMA * (ALPHA - (held ? 0.0 : 1.0));
  cells[alpha] = Math.min(0.5, Math.max(LEAST_ALPHA, moved));
}

/** Before there are errors: four times the range of the newest points, or the cold half-width with one point. */
function coldBounds(cells: Float64Array, value: f64, ahead: f64): void {
  const sorted = SHORT_WINDOW + SORTED_HEADER + MEDIAN_SHORT;
  const count = sortedCount(cells, SHORT_WINDOW);
  const widest = at(cells, COLD_HALF_WIDTH);
  const range = Math.max(value - at(cells, sorted), at(cells, sorted + count - 1) - value);
  const halfWidth = at(cells, POINTS) < 3 ? widest : Math.min(widest, POSSIBLE + 4 * range);
  cells[AHEAD_UPPER] = ahead + halfWidth;
  cells[AHEAD_LOWER] = ahead - halfWidth;
  cells[AHEAD_AT_MOST] = ahead + halfWidth;
  cells[AHEAD_AT_LEAST] = ahead - halfWidth;
}

function within(value: f64, least: f64, most: f64): f64 {
  return Math.max(least, Math.min(most, value));
}
