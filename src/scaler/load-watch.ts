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
  /** Mann and Kendall's S: pairs of bins in which the later one has more, less those in which it has fewer. */
  #risingPairs = 0;
  /** They change with a bin, and are asked for with each reading of memory; undefined: not known since the last change. */
  #facts: LoadFacts | null | undefined;

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
    for (let bin = 0; bin < Math.min(passed, recentBins + usualBins); bin++) this.#add(each);
    while (this.#bins.length > recentBins + usualBins) this.#dropOldest();
    this.#facts = undefined;
    this.#binStartMs += passed * binMs;
    this.#atBinStart = total;
  }

  /** Null before half a minute is known. */
  get facts(): LoadFacts | null {
    if (this.#facts === undefined) this.#facts = this.#newFacts();
    return this.#facts;
  }

  #newFacts(): LoadFacts | null {
    const bins = this.#bins;
    if (bins.length < recentBins) return null;
    const perSecond = (counts: readonly number[]) =>
      (counts.reduce((sum, count) => sum + count, 0) * 1_000) / (counts.length * binMs);
    const before = bins.slice(0, -recentBins);
    return {
      perSecond: perSecond(bins.slice(-1)),
      recentPerSecond: perSecond(bins.slice(-recentBins)),
      usualPerSecond: before.length >= leastUsualBins ? perSecond(before) : null,
      rising: risingZ(bins, this.#risingPairs) > significantZ,
    };
  }

  #add(count: number): void {
    for (const earlier of this.#bins) this.#risingPairs += Math.sign(count - earlier);
    this.#bins.push(count);
  }

  #dropOldest(): void {
    const oldest = this.#bins.shift() ?? 0;
    for (const later of this.#bins) this.#risingPairs -= Math.sign(later - oldest);
  }
}

/** The Mann-Kendall test's Z for a rise (Mann 1945, Kendall 1975), with the variance for ties; it needs no normal errors. */
function risingZ(values: readonly number[], s: number): number {
  const n = values.length;
  const ties = [...Map.groupBy(values, (value) => value).values()].map((same) => same.length);
  const tied = ties.reduce((sum, t) => sum + t * (t - 1) * (2 * t + 5), 0);
  const variance = (n * (n - 1) * (2 * n + 5) - tied) / 18;
  return s > 0 && variance > 0 ? (s - 1) / Math.sqrt(variance) : 0;
}
