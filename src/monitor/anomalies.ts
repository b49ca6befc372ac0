/** Values that stand out from the rest of the window. */

import type { MetricName } from "./sample.ts";
import type { Point } from "./trend.ts";

export interface Anomaly {
  metric: MetricName;
  atMs: number;
  value: number;
  /** Of the other points in the window. */
  mean: number;
  /** Their standard deviation (n − 1), or the metric's resolution where that is more. */
  deviation: number;
  /** |value − mean| / deviation; finite. */
  sigma: number;
}

/** Fewer other points than this say nothing about what is normal. */
const leastOthers = 9;

const percent = 0.1;
const bytes = 2 ** 20;

/** What varies less than this counts as varying by this: after a flat hour, one more page is no event. */
const resolution: Record<MetricName, number> = {
  memoryUsedPercent: percent,
  memoryUsedBytes: bytes,
  cpuPercent: percent,
  swapUsedBytes: bytes,
  diskUsedPercent: percent,
  diskFreeBytes: bytes,
  load1: 0.01,
  memoryPressurePercent: percent,
  cpuPressurePercent: percent,
  ioPressurePercent: percent,
};

/**
 * The points with |value − mean| > sigma × deviation, where mean and deviation are those of all other points: a point
 * that is judged does not hide itself by widening what it is judged by. None with fewer than nine others.
 */
export function anomaliesOf(metric: MetricName, points: readonly Point[], sigma: number): Anomaly[] {
  if (points.length - 1 < leastOthers) return [];
  const before = running(points);
  const after = running(points.toReversed());
  return points.flatMap(({ atMs, value }, index) => {
    const { count, mean, squares } = together(before[index], after[points.length - 1 - index]);
    const deviation = Math.max(Math.sqrt(squares / (count - 1)), resolution[metric]);
    const distance = Math.abs(value - mean);
    return distance > sigma * deviation
      ? [{ metric, atMs, value, mean, deviation, sigma: distance / deviation }]
      : [];
  });
}

/** Count, mean and sum of squared deviations of some points. */
interface Moments {
  count: number;
  mean: number;
  squares: number;
}

const none: Moments = { count: 0, mean: 0, squares: 0 };

/** At each index, the moments of the points in front of it (Welford 1962). */
function running(points: readonly Point[]): Moments[] {
  let { count, mean, squares } = none;
  return points.map(({ value }) => {
    const before = { count, mean, squares };
    const delta = value - mean;
    count++;
    mean += delta / count;
    squares += delta * (value - mean);
    return before;
  });
}

/** The moments of two sets of points as one (Chan et al. 1979). */
function together(a: Moments = none, b: Moments = none): Moments {
  const count = a.count + b.count;
  const delta = b.mean - a.mean;
  return {
    count,
    mean: a.mean + (delta * b.count) / count,
    squares: a.squares + b.squares + (delta ** 2 * a.count * b.count) / count,
  };
}
