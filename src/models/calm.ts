/** Since when there has been calm. Deterministic: time is told. */

import type { LadderPolicy, LadderSituation } from "./ladder-facts.ts";
import { measuredRatio } from "./ladder-room.ts";

/** Measured and expected use stay under the line less the hysteresis. */
export class Calm {
  #sinceMs: number | null = null;

  /** Takes a reading; returns since when it has been calm, null when it is not. */
  read(
    situation: Pick<LadderSituation, "nowMs" | "memory" | "forecast">,
    policy: LadderPolicy,
  ): number | null {
    const ratio = Math.max(measuredRatio(situation), situation.forecast?.valueRatio ?? 0);
    if (ratio >= policy.stepDownRatio - policy.hysteresisRatio) this.#sinceMs = null;
    else this.#sinceMs ??= situation.nowMs;
    return this.#sinceMs;
  }

  /** It has to be calm anew: a model gave way. */
  restart(): void {
    this.#sinceMs = null;
  }
}
