/** The last samples, bounded, and what can be read from them: trends, anomalies, a summary. */

import { type MetricName, metricNames, metricOf, type Sample } from "./sample.ts";

export interface Trend {
  average: number;
  min: number;
  max: number;
  /** Least squares over the real times; null with fewer than two points. */
  slopePerMinute: number | null;
  /** Points that were measured, and samples in which this was a gap. */
  points: number;
  gaps: number;
}

export interface Anomaly {
  metric: MetricName;
  atMs: number;
  value: number;
  /** Of the other points in the window. */
  mean: number;
  deviation: number;
  /** |value − mean| / deviation. */
  sigma: number;
}

/** Fewer other points than this say nothing about what is normal. */
const leastOthers = 9;

export class SampleWindow {
  readonly #samples: Sample[] = [];

  /** Keeps the last `capacity` samples. */
  constructor(readonly capacity: number) {}

  push(sample: Sample): void {
    this.#samples.push(sample);
    if (this.#samples.length > this.capacity) this.#samples.shift();
  }

  /** Fills an empty window with what was recorded before a restart, the oldest first. */
  warm(samples: readonly Sample[]): void {
    if (this.#samples.length === 0) this.#samples.push(...samples.slice(-this.capacity));
  }

  current(): Sample | null {
    return this.#samples.at(-1) ?? null;
  }

  /** The newest `limit` samples, the oldest first. */
  history(limit = this.capacity): readonly Sample[] {
    return limit >= this.#samples.length ? this.#samples.slice() : this.#samples.slice(-limit);
  }

  /** The trend of every metric that was measured at least once. */
  trends(): Partial<Record<MetricName, Trend>> {
    const trends: Partial<Record<MetricName, Trend>> = {};
    for (const name of metricNames) {
      const trend = this.trend(name);
      if (trend) trends[name] = trend;
    }
    return trends;
  }

  trend(name: MetricName): Trend | null {
    const points = this.#points(name);
    if (points.length === 0) return null;
    const values = points.map(({ value }) => value);
    return {
      average: values.reduce((sum, value) => sum + value, 0) / values.length,
      min: Math.min(...values),
      max: Math.max(...values),
      slopePerMinute: slopePerMinute(points),
      points: points.length,
      gaps: this.#samples.length - points.length,
    };
  }

  /**
   * Points further than `sigma` deviations from the mean of the window's other points, the newest first. A point is
   * judged once there are nine others; where those do not vary at all, any other value is an anomaly.
   */
  anomalies(sigma: number): Anomaly[] {
    return metricNames
      .flatMap((metric) => anomaliesOf(metric, this.#points(metric), sigma))
      .sort((a, b) => b.atMs - a.atMs);
  }

  #points(name: MetricName): Point[] {
    return this.#samples.flatMap((sample) => {
      const value = metricOf(sample, name);
      return value === null ? [] : [{ atMs: sample.atMs, value }];
    });
  }
}

interface Point {
  atMs: number;
  value: number;
}

function slopePerMinute(points: readonly Point[]): number | null {
  const meanAt = points.reduce((sum, { atMs }) => sum + atMs, 0) / points.length;
  const mean = points.reduce((sum, { value }) => sum + value, 0) / points.length;
  let products = 0;
  let squares = 0;
  for (const { atMs, value } of points) {
    products += (atMs - meanAt) * (value - mean);
    squares += (atMs - meanAt) ** 2;
  }
  return squares > 0 ? (products / squares) * 60_000 : null;
}

/** A deviation under this share of the mean is rounding, not variation. */
const rounding = 1e-9;

function anomaliesOf(metric: MetricName, points: readonly Point[], sigma: number): Anomaly[] {
  const others = points.length - 1;
  if (others < leastOthers) return [];
  const centre = points[0]?.value ?? 0;
  const sum = points.reduce((total, { value }) => total + (value - centre), 0);
  const squares = points.reduce((total, { value }) => total + (value - centre) ** 2, 0);
  return points.flatMap(({ atMs, value }) => {
    const own = value - centre;
    const mean = (sum - own) / others;
    const variance = Math.max(0, (squares - own ** 2 - others * mean ** 2) / (others - 1));
    const deviation = Math.max(Math.sqrt(variance), Math.abs(mean + centre) * rounding);
    const distance = Math.abs(own - mean);
    if (distance === 0 || distance <= sigma * deviation) return [];
    return [{ metric, atMs, value, mean: mean + centre, deviation, sigma: distance / deviation }];
  });
}
