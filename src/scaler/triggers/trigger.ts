/** What makes conductor shed: each rule is a small function that names itself and says why, or null. Pure. */

import type { ForecastFacts, Policy, Rule, Situation } from "../situation.ts";

export interface Cause {
  rule: Rule;
  /** The first half of the decision's reason. */
  reason: string;
}

export type Trigger = (situation: Situation, forecast: ForecastFacts | null, policy: Policy) => Cause | null;

export const measuredRatio = ({ measured }: Situation): number => measured.usedBytes / measured.budgetBytes;
