/** The last samples, bounded, and what can be read from them: trends, anomalies. */

import { type Anomaly, anomaliesOf } from "./anomalies.ts";
import { type MetricName, metricNames, metricOf, type Sample } from "./sample.ts";
import { type Point, type Trend, trendOf } from "./trend.ts";

export class SampleWindow {
  readonly #samples: Sample[] = [];

  /** Keeps the last `capacity` samples. */
  constructor(readonly capacity: number) {}

  push(sample: Sample): void {
    this.#samples.push(sample);
    if (this.#samples.length > this.capacity) this.#samples.shift();
  }

  /**
   * Fills an empty window with what was recorded before a restart, the oldest first; those before `notBeforeMs` are too
   * old to tell of now.
   */
  warm(samples: readonly Sample[], notBeforeMs = Number.NEGATIVE_INFINITY): void {
    if (this.#samples.length > 0) return;
    this.#samples.push(...samples.filter(({ atMs }) => atMs >= notBeforeMs).slice(-this.capacity));
  }

  current(): Sample | null {
    return this.#samples.at(-1) ?? null;
  }

  /** The newest `limit` samples, the oldest first. */
  history(limit = this.capacity): readonly Sample[] {
    return limit > 0 ? this.#samples.slice(-limit) : [];
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

  /** Null when every sample has a gap there. */
  trend(name: MetricName): Trend | null {
    return trendOf(this.#points(name), this.#samples.length);
  }

  /** What stands out at `sigma` deviations (see `anomaliesOf`), the newest first. */
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
