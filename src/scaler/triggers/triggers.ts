import type { ForecastFacts, Policy, Situation } from "../situation.ts";
import { load, spike, stall, timeOfDay } from "./early.ts";
import { predicted } from "./predicted.ts";
import { continuing, threshold } from "./threshold.ts";
import type { Cause, Trigger } from "./trigger.ts";

/** In this order: the first that fires gives its name to the decision. */
const triggers: readonly Trigger[] = [threshold, continuing, stall, predicted, spike, load, timeOfDay];

/** Why a plugin must be shed now, or null. */
export function sheddingCause(
  situation: Situation,
  forecast: ForecastFacts | null,
  policy: Policy,
): Cause | null {
  for (const trigger of triggers) {
    const cause = trigger(situation, forecast, policy);
    if (cause) return cause;
  }
  return null;
}
