/**
 * A lasting rise of the error, by the Page-Hinkley test (Page 1954) on the error in units of the usual one: something
 * changed, and what was learned before holds the forecast back.
 */
import { at } from "./cells";
import { startLosses } from "./experts";
import {
  DRIFT_LEAST,
  DRIFT_MEAN,
  DRIFT_SECONDS,
  DRIFT_SEEN,
  DRIFT_SUM,
  DRIFTS,
  OUTPUT_DRIFTED,
  SLOW_ERROR,
} from "./layout";

/** A rise by less than this share of the mean is tolerated. */
const TOLERANCE: f64 = 0.5;
/**
 * Found when the error in excess of that sums up to so many means. The usual error follows the rise: of one to five
 * times the error it leaves 150 in all, of one to three times 70.
 */
const EXCESS: f64 = 70;
/** One error counts at most so many usual ones: a single step, which all forecasts of a horizon miss, is no drift. */
const MOST: f64 = 5;
const FEWEST: f64 = 100;
/** Of a constant the usual error is rounding in the last digit, which changes for no reason. In the value's unit. */
const LEAST_USUAL: f64 = 1e-3;

export function startDrift(cells: Float64Array): void {
  cells[DRIFT_MEAN] = 0;
  cells[DRIFT_SUM] = 0;
  cells[DRIFT_LEAST] = 0;
  cells[DRIFT_SEEN] = 0;
}

/** Counts an error. A drift lets the experts begin anew, so that the one that suits the new state soon leads. */
export function detectDrift(cells: Float64Array, tSeconds: f64, error: f64): void {
  const scaled = Math.min(MOST, Math.abs(error) / (at(cells, SLOW_ERROR) + LEAST_USUAL));
  const seen = at(cells, DRIFT_SEEN) + 1;
  const mean = at(cells, DRIFT_MEAN) + (scaled - at(cells, DRIFT_MEAN)) / seen;
  const sum = at(cells, DRIFT_SUM) + scaled - mean - TOLERANCE;
  const least = Math.min(at(cells, DRIFT_LEAST), sum);
  cells[DRIFT_SEEN] = seen;
  cells[DRIFT_MEAN] = mean;
  cells[DRIFT_SUM] = sum;
  cells[DRIFT_LEAST] = least;
  if (seen < FEWEST || sum - least < EXCESS) return;
  cells[DRIFTS] = at(cells, DRIFTS) + 1;
  cells[DRIFT_SECONDS] = tSeconds;
  cells[OUTPUT_DRIFTED] = 1;
  startDrift(cells);
  startLosses(cells);
}
