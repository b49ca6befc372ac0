import type { Policy, Situation, Verdict } from "./situation.ts";

/** Over the shed line with nothing left to shed: told once, when it begins. */
export class Exhaustion {
  #exhausted = false;

  /** The use is under the shed line: over, once it is well under it. */
  eases({ measured }: Situation, { shedRatio, marginRatio }: Policy): void {
    this.#exhausted &&= measured.usedBytes / measured.budgetBytes >= shedRatio - marginRatio;
  }

  /** Whether it begins with this verdict. */
  begins({ measured }: Situation, { actions, rule }: Verdict, { shedRatio, marginRatio }: Policy): boolean {
    const usedRatio = measured.usedBytes / measured.budgetBytes;
    const exhausted = actions.length === 0 && rule !== "models-first" && usedRatio >= shedRatio;
    const begins = exhausted && !this.#exhausted;
    // Only once memory is well under the line: hovering at it is one and the same trouble.
    this.#exhausted = exhausted || (this.#exhausted && usedRatio >= shedRatio - marginRatio);
    return begins;
  }
}
