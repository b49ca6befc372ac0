import { COLD_HALF_WIDTH, COLD_SUM, HORIZON_SECONDS } from "./series-layout.ts";
import { studentT975 } from "./student-t.ts";

/** Two increments are the fewest that say anything about their size. */
const fewestPoints = 3;
/** A handful of increments is a poor sample of a host's behaviour: the random walk's interval is doubled. */
const widening = 2;
/** The interval never closes, not even on a value that has not moved yet. */
const floorRatio = 0.01;

/**
 * Half-width of the interval about the last value while there are too few points for a line, `horizonSeconds` ahead.
 *
 * Fewer than three points: `widest`. From three on, the value is taken for a random walk without drift, whose variance
 * per second is the mean of (dy² / dt) over the n - 1 increments, so that a steady rise counts as spread:
 *
 *     max(2 * t(0.975, n - 1) * sqrt(mean(dy² / dt) * horizon), widest / 100)
 *
 * It has no ceiling: a value that jumps has a wider interval than one about which nothing is known. `sum` is that of
 * dy² / dt in the order of the points.
 */
export function coldHalfWidth(points: number, sum: number, widest: number, horizonSeconds: number): number {
  if (points < fewestPoints) return widest;
  const increments = points - 1;
  const deviation = Math.sqrt((sum / increments) * horizonSeconds);
  const halfWidth = widening * studentT975(increments) * deviation;
  return Math.max(halfWidth, floorRatio * widest);
}

/** The same of a series. */
export function seriesColdHalfWidth(m: Float64Array, points: number): number {
  const [sum, widest, horizonSeconds] = [m[COLD_SUM], m[COLD_HALF_WIDTH], m[HORIZON_SECONDS]];
  return coldHalfWidth(points, sum as number, widest as number, horizonSeconds as number);
}
