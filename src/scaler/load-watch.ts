/** Requests a second: now, lately, usually. Deterministic: time is told. */

import type { LoadFacts } from "./situation.ts";

/** One count for each of these. */
const binMs = 5_000;
/** Half a minute is recent; the ten minutes before are usual. */
const recentBins = 6;
const usualBins = 120;
/** With less than two minutes before it there is no usual rate. */
const leastUsualBins = 24;
/** One-sided 95 % quantile of the normal distribution. */
const significantZ = 1.645;

export class LoadWatch {
  /** Requests of each whole bin, the oldest first. */
  readonly #bins: number[] = [];
  #binStartMs: number | null = null;
  #atBinStart = 0;

  /** `total` counts all requests so far. */
  observe(total: number, nowMs: number): void {
    if (this.#binStartMs === null) {
      this.#binStartMs = nowMs;
      this.#atBinStart = total;
    }
    const passed = Math.floor((nowMs - this.#binStartMs) / binMs);
    if (passed <= 0) return;
    // What came while nobody looked is spread evenly over the bins that passed.
    const each = (total - this.#atBinStart) / passed;
    for (let bin = 0; bin < Math.min(passed, recentBins + usualBins); bin++) this.#bins.push(each);
    while (this.#bins.length > recentBins + usualBins) this.#bins.shift();
    this.#binStartMs += passed * binMs;
    this.#atBinStart = total;
  }

  /** Null before half a minute is known. */
  get facts(): LoadFacts | null {
    const bins = this.#bins;
    if (bins.length < recentBins) return null;
    const perSecond = (counts: readonly number[]) =>
      (counts.reduce((sum, count) => sum + count, 0) * 1_000) / (counts.length * binMs);
    const before = bins.slice(0, -recentBins);
    return {
      perSecond: perSecond(bins.slice(-1)),
      recentPerSecond: perSecond(bins.slice(-recentBins)),
      usualPerSecond: before.length >= leastUsualBins ? perSecond(before) : null,
      rising: risingZ(bins) > significantZ,
    };
  }
}

/** The Mann-Kendall test's Z for a rise (Mann 1945, Kendall 1975), with the variance for ties; it needs no normal errors. */
function risingZ(values: readonly number[]): number {
  const n = values.length;
  let s = 0;
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) s += Math.sign((values[j] ?? 0) - (values[i] ?? 0));
  const ties = [...Map.groupBy(values, (value) => value).values()].map((same) => same.length);
  const tied = ties.reduce((sum, t) => sum + t * (t - 1) * (2 * t + 5), 0);
  const variance = (n * (n - 1) * (2 * n + 5) - tied) / 18;
  return s > 0 && variance > 0 ? (s - 1) / Math.sqrt(variance) : 0;
}
