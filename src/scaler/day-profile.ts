/** What the time of day usually brings, learned from several days. Deterministic: time is told; days are UTC. */

import type { AheadFacts } from "./situation.ts";

const dayMs = 86_400_000;
const binMs = 15 * 60_000;
const binsPerDay = dayMs / binMs;
/** Days that are remembered, and how many it takes to speak of "usually". */
const mostDays = 7;
const leastDays = 3;

export class DayProfile {
  /** For each quarter of an hour the mean use (0..1) of the last days. */
  readonly #days: { day: number; sum: number; count: number }[][] = Array.from(
    { length: binsPerDay },
    () => [],
  );

  /** The median of each quarter's means; undefined since it learned. */
  readonly #medians: (number | null | undefined)[] = Array.from({ length: binsPerDay }, () => null);

  learn(atMs: number, usedRatio: number): void {
    const day = Math.floor(atMs / dayMs);
    const index = Math.floor((atMs % dayMs) / binMs);
    const bin = this.#days[index];
    if (!bin) return;
    this.#medians[index] = undefined;
    const known = bin.find((each) => each.day === day);
    if (known) {
      known.sum += usedRatio;
      known.count++;
      return;
    }
    bin.push({ day, sum: usedRatio, count: 1 });
    bin.sort((a, b) => a.day - b.day);
    if (bin.length > mostDays) bin.shift();
  }

  /** By how much the use usually rises within `withinMs`; null before three days are known, or where it does not rise. */
  ahead(nowMs: number, withinMs: number): AheadFacts | null {
    const now = this.#usual(nowMs);
    if (now === null) return null;
    let peak: AheadFacts | null = null;
    const first = Math.floor(nowMs / binMs) + 1;
    for (let bin = first; bin * binMs <= nowMs + withinMs; bin++) {
      const usual = this.#usual(bin * binMs);
      if (usual === null) continue;
      const riseRatio = usual - now;
      if (riseRatio > (peak?.riseRatio ?? 0)) peak = { riseRatio, atMs: bin * binMs };
    }
    return peak;
  }

  /** The median of the days' means at this time. */
  #usual(atMs: number): number | null {
    const index = Math.floor((atMs % dayMs) / binMs);
    let usual = this.#medians[index];
    if (usual === undefined) {
      usual = this.#median(index);
      this.#medians[index] = usual;
    }
    return usual;
  }

  #median(index: number): number | null {
    const days = this.#days[index] ?? [];
    if (days.length < leastDays) return null;
    const means = days.map(({ sum, count }) => sum / count).toSorted((a, b) => a - b);
    return means[means.length >> 1] ?? null;
  }
}
