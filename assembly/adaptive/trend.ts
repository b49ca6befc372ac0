/**
 * Where the newest points lead: the least-squares line through the last 50, whether its slope differs from none, and
 * when it meets the threshold. Neighbouring residuals are alike, which makes a line look surer than it is: its variance
 * grows by (1 + r) / (1 - r) and its points count that much less, r being the residuals' autocorrelation at lag 1
 * (Bayley and Hammersley 1946).
 */
import { at } from "./cells";
import {
  LAST_SECONDS,
  LAST_VALUE,
  OUTPUT_CROSSING,
  OUTPUT_CROSSING_EARLIEST,
  OUTPUT_CROSSING_LATEST,
  OUTPUT_SIGNIFICANT,
  OUTPUT_SLOPE,
  OUTPUT_SLOPE_LOWER,
  OUTPUT_SLOPE_UPPER,
  SHORT_WINDOW,
  SORTED_HEADER,
  THRESHOLD,
  TIME_RING,
} from "./layout";
import { ringStart, sortedCount } from "./sorted-window";

/** With fewer points no slope differs from none. */
const FEWEST: f64 = 10;
/** A clear climb is often bent, so that the residuals are alike and few points count: that widens, and does not hide it. */
const FEWEST_DEGREES: f64 = 3;
const MOST_CORRELATION: f64 = 0.95;
/** The correlation is taken to be larger than it looks by so many standard errors. */
const CAUTION: f64 = 0.75;
/** Beneath this a crossing would lie beyond all numbers. */
const LEAST_SLOPE: f64 = 1e-100;
const NORMAL_975: f64 = 1.959963984540054;

/** Writes the slope, its 95 % bounds and the time to the threshold into the outputs. */
export function measureTrend(cells: Float64Array): void {
  clear(cells);
  const count = sortedCount(cells, SHORT_WINDOW);
  const points = <f64>count;
  if (points < FEWEST) return;
  const values = SHORT_WINDOW + SORTED_HEADER;
  const origin = at(cells, TIME_RING + ringStart(cells, SHORT_WINDOW));
  const level = at(cells, values + ringStart(cells, SHORT_WINDOW));
  let meanTime: f64 = 0;
  let meanValue: f64 = 0;
  for (let i = 0; i < count; i++) {
    meanTime += at(cells, TIME_RING + i) - origin;
    meanValue += at(cells, values + i) - level;
  }
  meanTime /= points;
  meanValue /= points;
  let squares: f64 = 0;
  let products: f64 = 0;
  for (let i = 0; i < count; i++) {
    const t = at(cells, TIME_RING + i) - origin - meanTime;
    squares += t * t;
    products += t * (at(cells, values + i) - level - meanValue);
  }
  const slope = products / squares;
  const margin = marginOf(cells, count, meanTime, meanValue, slope, squares);
  cells[OUTPUT_SLOPE] = slope;
  cells[OUTPUT_SLOPE_LOWER] = slope - margin;
  cells[OUTPUT_SLOPE_UPPER] = slope + margin;
  if (Math.abs(slope) <= Math.max(margin, LEAST_SLOPE)) return;
  cells[OUTPUT_SIGNIFICANT] = 1;
  if (slope < 0) return;
  const since = at(cells, LAST_SECONDS) - origin - meanTime;
  const distance = at(cells, THRESHOLD) - level - meanValue;
  meetThreshold(cells, slope, margin, squares / points, distance, since);
}

/** Half-width of the slope's 95 % interval. The residuals are gone through by age; the means are from the oldest on. */
function marginOf(
  cells: Float64Array,
  count: i32,
  meanTime: f64,
  meanValue: f64,
  slope: f64,
  squares: f64,
): f64 {
  const points = <f64>count;
  let place = ringStart(cells, SHORT_WINDOW);
  const origin = at(cells, TIME_RING + place);
  const level = at(cells, SHORT_WINDOW + SORTED_HEADER + place);
  let residuals: f64 = 0;
  let neighbours: f64 = 0;
  let before: f64 = 0;
  for (let i = 0; i < count; i++) {
    const t = at(cells, TIME_RING + place) - origin - meanTime;
    const residual = at(cells, SHORT_WINDOW + SORTED_HEADER + place) - level - meanValue - slope * t;
    residuals += residual * residual;
    neighbours += residual * before;
    before = residual;
    place = place + 1 === count ? 0 : place + 1;
  }
  const alike = residuals > 0 ? correlation(neighbours / residuals, points) : 0;
  const inflation = (1.0 + alike) / (1.0 - alike);
  const degrees = Math.max(FEWEST_DEGREES, points / inflation - 2);
  return studentT975(degrees) * Math.sqrt((residuals / (points - 2) / squares) * inflation);
}

/**
 * The correlation that residuals with correlation `found` tell of. A line takes away part of it, (2 + 4 r) / n on
 * average (Kendall 1954), and what is left is uncertain by sqrt((1 - r²) / n).
 */
function correlation(found: f64, points: f64): f64 {
  const whole = (points * found + 2) / (points - 4);
  const uncertain = Math.sqrt(Math.max(0, 1.0 - whole * whole) / points);
  return Math.max(0, Math.min(MOST_CORRELATION, whole + CAUTION * uncertain));
}

/**
 * When the newest value, climbing on, meets the threshold; and the 95 % interval of when the line does, of which neither
 * slope nor level are known exactly (Fieller 1954). `distance` is that of the threshold from the mean of the values,
 * `since` the seconds since the mean of the times, `spread` the variance of the times.
 */
function meetThreshold(
  cells: Float64Array,
  slope: f64,
  margin: f64,
  spread: f64,
  distance: f64,
  since: f64,
): void {
  const seconds = Math.max(0, at(cells, THRESHOLD) - at(cells, LAST_VALUE)) / slope;
  cells[OUTPUT_CROSSING] = seconds;
  cells[OUTPUT_CROSSING_EARLIEST] = seconds;
  cells[OUTPUT_CROSSING_LATEST] = seconds;
  if (seconds <= 0) return;
  const sure = (slope - margin) * (slope + margin);
  const root = margin * Math.sqrt(distance * distance + spread * sure);
  const earliest = (distance * slope - root) / sure - since;
  const latest = (distance * slope + root) / sure - since;
  cells[OUTPUT_CROSSING_EARLIEST] = Math.max(0, Math.min(seconds, earliest));
  cells[OUTPUT_CROSSING_LATEST] = Math.max(seconds, latest);
}

function clear(cells: Float64Array): void {
  cells[OUTPUT_SLOPE] = 0;
  cells[OUTPUT_SLOPE_LOWER] = 0;
  cells[OUTPUT_SLOPE_UPPER] = 0;
  cells[OUTPUT_SIGNIFICANT] = 0;
  cells[OUTPUT_CROSSING] = -1;
  cells[OUTPUT_CROSSING_EARLIEST] = -1;
  cells[OUTPUT_CROSSING_LATEST] = -1;
}

/** The 0.975 quantile of Student's t for 3 degrees and more, to two digits (Abramowitz and Stegun 26.7.5). */
function studentT975(degrees: f64): f64 {
  const z = NORMAL_975;
  const z2 = z * z;
  const first = (z * (z2 + 1)) / 4.0;
  const second = (z * ((5 * z2 + 16) * z2 + 3)) / 96.0;
  const third = (z * (((3 * z2 + 19) * z2 + 17) * z2 - 15)) / 384.0;
  return z + (first + (second + third / degrees) / degrees) / degrees;
}
