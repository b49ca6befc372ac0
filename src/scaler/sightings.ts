/** When a line was crossed, as far as readings tell it. Pure: time is told. */

import type { Seen } from "./execution.ts";
import { shedLine } from "./latest-line.ts";
import type { Measured, Policy, Rule, Situation } from "./situation.ts";

interface Reading {
  ratio: number;
  atMonotonicMs: number;
}

/** Keeps the last two readings of memory. */
export class Sightings {
  #before: Reading | null = null;
  #latest: Reading | null = null;

  add({ usedBytes, budgetBytes }: Measured, atMonotonicMs: number): void {
    this.#before = this.#latest;
    this.#latest = { ratio: usedBytes / budgetBytes, atMonotonicMs };
  }

  /** The reading of `situation`, with how long before it the line that `rule` is about was crossed. */
  seenFor(rule: Rule, situation: Situation, policy: Policy): Seen {
    const lines: Partial<Record<Rule, number>> = {
      emergency: policy.emergencyRatio,
      threshold: shedLine(situation, policy),
    };
    return this.seen(situation.measured, lines[rule] ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Of the latest reading: when it was made, and how long before that `lineRatio` was crossed, if the use rose evenly from
   * the reading before it. Null where the line was not crossed between the two.
   */
  seen(measured: Measured, lineRatio: number): Seen {
    const [before, latest] = [this.#before, this.#latest];
    const atMonotonicMs = latest?.atMonotonicMs ?? 0;
    if (!before || !latest || before.ratio >= lineRatio || latest.ratio < lineRatio)
      return { measured, atMonotonicMs, noticedMs: null };
    const overShare = (latest.ratio - lineRatio) / (latest.ratio - before.ratio);
    return { measured, atMonotonicMs, noticedMs: overShare * (atMonotonicMs - before.atMonotonicMs) };
  }
}
