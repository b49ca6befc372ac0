/**
 * Where the newest points lead: the least-squares line through the last 50, whether its slope differs from none, and
 * when it meets the threshold. Neighbouring residuals are alike, which makes a line look surer than it is: its variance
 * grows by (1 + r) / (1 - r) and its points count that much less, r being the residuals' autocorrelation at lag 1
 * (Bayley and Hammersley 1946).
 */
import { at } from "./cells";
import {
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

/** With fewer points, or fewer that count, no slope differs from none. */
const FEWEST: f64 = 10;
const FEWEST_EFFECTIVE: f64 = 5;
const MOST_CORRELATION: f64 = 0.98;
const NORMAL_975: f64 = 1.959963984540054;

/** Writes the slope, its 95 % bounds and the time to the threshold into the outputs. */
export function measureTrend(cells: Float64Array): void {
  clear(cells);
  const count = sortedCount(cells, SHORT_WINDOW);
  const points = <f64>count;
  if (points < FEWEST) return;
  let start = ringStart(cells, SHORT_WINDOW);
  const values = SHORT_WINDOW + SORTED_HEADER;
  let meanTime: f64 = 0;
  let meanValue: f64 = 0;
  const origin = at(cells, TIME_RING + start);
  const level = at(cells, values + start);
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
  let residuals: f64 = 0;
  let neighbours: f64 = 0;
  let before: f64 = 0;
  for (let i = 0; i < count; i++) {
    const t = at(cells, TIME_RING + start) - origin - meanTime;
    const residual = at(cells, values + start) - level - meanValue - slope * t;
    residuals += residual * residual;
    neighbours += residual * before;
    before = residual;
    start = start + 1 === count ? 0 : start + 1;
  }
  const alike = residuals > 0 ? Math.max(0, Math.min(MOST_CORRELATION, neighbours / residuals)) : 0;
  const inflation = (1.0 + alike) / (1.0 - alike);
  const effective = points / inflation;
  if (effective < FEWEST_EFFECTIVE) return;
  const error = Math.sqrt((residuals / (points - 2) / squares) * inflation);
  judge(cells, slope, studentT975(effective - 2) * error);
}

function judge(cells: Float64Array, slope: f64, margin: f64): void {
  cells[OUTPUT_SLOPE] = slope;
  cells[OUTPUT_SLOPE_LOWER] = slope - margin;
  cells[OUTPUT_SLOPE_UPPER] = slope + margin;
  if (Math.abs(slope) <= margin || slope === 0) return;
  cells[OUTPUT_SIGNIFICANT] = 1;
  if (slope < 0) return;
  const distance = Math.max(0, at(cells, THRESHOLD) - at(cells, LAST_VALUE));
  cells[OUTPUT_CROSSING] = distance / slope;
  cells[OUTPUT_CROSSING_EARLIEST] = distance / (slope + margin);
  cells[OUTPUT_CROSSING_LATEST] = distance / (slope - margin);
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
