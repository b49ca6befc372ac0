/** How a number went over the window. */

/** One measured value; a gap is no point. */
export interface Point {
  atMs: number;
  value: number;
}

export interface Trend {
  average: number;
  min: number;
  max: number;
  /** Least squares over the real times; null with fewer than two points of different times. */
  slopePerMinute: number | null;
  /** Points that were measured, and samples in which this was a gap. */
  points: number;
  gaps: number;
}

/** The trend of `points`, out of `samples` samples; null without points. */
export function trendOf(points: readonly Point[], samples: number): Trend | null {
  const [first] = points;
  if (!first) return null;
  let { value: min, value: max } = first;
  let sum = 0;
  for (const { value } of points) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value - first.value;
  }
  // Rounding must not carry the average out of the values it is of.
  const average = Math.min(max, Math.max(min, first.value + sum / points.length));
  const slope = slopePerMinute(points, average);
  return { average, min, max, slopePerMinute: slope, points: points.length, gaps: samples - points.length };
}

function slopePerMinute(points: readonly Point[], mean: number): number | null {
  const startMs = points[0]?.atMs ?? 0;
  const meanMs = points.reduce((sum, { atMs }) => sum + (atMs - startMs), 0) / points.length;
  let products = 0;
  let squares = 0;
  for (const { atMs, value } of points) {
    const fromMeanMs = atMs - startMs - meanMs;
    products += fromMeanMs * (value - mean);
    squares += fromMeanMs ** 2;
  }
  return squares > 0 ? (products / squares) * 60_000 : null;
}
