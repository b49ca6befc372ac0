/**
 * What a point tells about the next minutes. All features are distances of the newest value from something, so that
 * neither the level nor the unit matters, and each is divided by its running root mean square.
 *
 *   0..3    from its averages over 4, 16 and 64 points, and from the median of 50
 *   4..13   the last ten differences of neighbours, the newest first
 *   14..16  from the median of 200, and from its averages over 256 and 1,024 points
 *   17..20  what the hour's and the day's profile changes until the horizon, and how far it then lies from here
 *   21      how far the weekday's or the weekend's profile lies from here, once it knows seven days
 */
import { approach, at } from "./cells";
import {
  AVERAGE,
  DAY_BINS,
  DAY_PROFILE,
  DIFFERENCE_RING,
  DIFFERENCES,
  FEATURE_POWER,
  FEATURES,
  FIRST_DIFFERENCE,
  FIRST_SECONDS,
  HORIZON_SECONDS,
  HOUR_BINS,
  HOUR_PROFILE,
  LONG_WINDOW,
  MEDIAN_LONG,
  MEDIAN_SHORT,
  PENDING_DAY,
  PENDING_FEATURES,
  PENDING_HOUR,
  POINTS,
  SHORT_WINDOW,
  TIME_RING,
  WEEK_BINS,
  WEEK_PROFILE,
} from "./layout";
import { levelOr, phaseBin, visit, weekBin } from "./profile";
import { median, pushSorted, ringNext } from "./sorted-window";
import { normalise } from "./vectors";

const HOUR: f64 = 3600;
const DAY: f64 = 86400;
const WEEK: f64 = 604800;
export const POWER_RATE: f64 = 0.01;
/** Below this a feature is noise of the last digit. */
export const LEAST_ROOT: f64 = 1e-9;

/** Takes the point into the averages, medians and differences, and writes its features into the pending row. */
export function takeFeatures(cells: Float64Array, row: i32, tSeconds: f64, value: f64, step: f64): void {
  const to = row + PENDING_FEATURES;
  averages(cells, value);
  cells[TIME_RING + ringNext(cells, SHORT_WINDOW, MEDIAN_SHORT)] = tSeconds;
  pushSorted(cells, SHORT_WINDOW, MEDIAN_SHORT, value);
  pushSorted(cells, LONG_WINDOW, MEDIAN_LONG, value);
  for (let i = DIFFERENCES - 1; i > 0; i--) cells[DIFFERENCE_RING + i] = at(cells, DIFFERENCE_RING + i - 1);
  cells[DIFFERENCE_RING] = step;
  cells[to] = value - at(cells, AVERAGE);
  cells[to + 1] = value - at(cells, AVERAGE + 1);
  cells[to + 2] = value - at(cells, AVERAGE + 2);
  cells[to + 3] = value - median(cells, SHORT_WINDOW, MEDIAN_SHORT);
  for (let i = 0; i < DIFFERENCES; i++) cells[to + FIRST_DIFFERENCE + i] = at(cells, DIFFERENCE_RING + i);
  cells[to + 14] = value - median(cells, LONG_WINDOW, MEDIAN_LONG);
  cells[to + 15] = value - at(cells, AVERAGE + 3);
  cells[to + 16] = value - at(cells, AVERAGE + 4);
  periodic(cells, row, to + 17, tSeconds, value);
  const rate = Math.max(POWER_RATE, 1.0 / at(cells, POINTS));
  normalise(cells, to, FEATURE_POWER, FEATURES, rate, LEAST_ROOT);
}

function averages(cells: Float64Array, value: f64): void {
  const start = 1.0 / at(cells, POINTS);
  let points: f64 = 4;
  for (let i = 0; i < 5; i++) {
    approach(cells, AVERAGE + i, value, Math.max(2.0 / (points + 1), start));
    points *= 4;
  }
}

function periodic(cells: Float64Array, row: i32, to: i32, tSeconds: f64, value: f64): void {
  const then = tSeconds + at(cells, HORIZON_SECONDS);
  const hour = phaseBin(tSeconds, HOUR, HOUR_BINS);
  const day = phaseBin(tSeconds, DAY, DAY_BINS);
  const hourThen = phaseBin(then, HOUR, HOUR_BINS);
  const dayThen = phaseBin(then, DAY, DAY_BINS);
  cells[row + PENDING_HOUR] = <f64>hourThen;
  cells[row + PENDING_DAY] = <f64>dayThen;
  change(cells, to, HOUR_PROFILE, HOUR_BINS, hour, hourThen, value);
  change(cells, to + 2, DAY_PROFILE, DAY_BINS, day, dayThen, value);
  const known = tSeconds - at(cells, FIRST_SECONDS) >= WEEK;
  const weekThen = weekBin(then, WEEK_BINS);
  cells[to + 4] = known ? levelOr(cells, WEEK_PROFILE, WEEK_BINS, weekThen, value) - value : 0;
  visit(cells, HOUR_PROFILE, HOUR_BINS, hour, value);
  visit(cells, DAY_PROFILE, DAY_BINS, day, value);
  visit(cells, WEEK_PROFILE, WEEK_BINS, weekBin(tSeconds, WEEK_BINS), value);
}

/** The change of a profile from one bin to another, and the distance of the latter from `value`; 0 while unknown. */
function change(
  cells: Float64Array,
  to: i32,
  profile: i32,
  bins: i32,
  now: i32,
  then: i32,
  value: f64,
): void {
  const levelThen = levelOr(cells, profile, bins, then, value);
  cells[to] = levelThen - levelOr(cells, profile, bins, now, levelThen);
  cells[to + 1] = levelThen - value;
}
