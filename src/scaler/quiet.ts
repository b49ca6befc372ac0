/**
 * Readings of memory that nothing follows from, told without looking at a plugin: most of them. Pure.
 *
 * What sheds looks at the host alone, and a plugin that starts only makes it less likely (its growth is no pace). What restores
 * needs a plugin that was shed, the use at or under the restore line, and the dwell to be over.
 */

import { restoresNone } from "./restoring.ts";
import type { ForecastFacts, Policy, Situation } from "./situation.ts";
import { sheddingCause } from "./triggers/triggers.ts";

/**
 * Whether `decide` holds, whatever the plugins are. `situation` is without them and as if none was starting; `hasShed`, whether
 * one is shed, is asked where it matters. False: it has to be decided.
 */
export function isQuiet(
  situation: Situation,
  forecast: ForecastFacts | null,
  policy: Policy,
  hasShed: () => boolean,
): boolean {
  const { usedBytes, budgetBytes } = situation.measured;
  // Written so that what is no number is decided on.
  if (!(usedBytes / budgetBytes < policy.emergencyRatio)) return false;
  if (sheddingCause(situation, forecast, policy) !== null) return false;
  return restoresNone(situation, policy) || !hasShed();
}
