/**
 * Local models give way before plugins do: while they are about to give back enough, nothing is shed for it. Pure.
 *
 * However fast memory fills: a model that has not gone by the emergency line is killed there, as plugins are.
 * A model comes back by itself, and what was said to it is kept; it is also what holds most. In an emergency only models that
 * were killed already count: theirs is the same memory, a moment later, and killing the plugins too would free nothing sooner.
 */

import { formatBytes, formatPercent } from "../config/units.ts";
import { shedLine, shedTarget } from "./latest-line.ts";
import type { Policy, Situation, Verdict } from "./situation.ts";

/** The verdict to wait for them; null: what they give is not enough, comes too late, or there is none. */
export function modelsFirst(
  situation: Situation,
  policy: Policy,
  cause: { reason: string; urgent: boolean },
): Verdict | null {
  const { giving, nowMs, measured, shedding } = situation;
  if (!giving || nowMs >= giving.untilMs || (cause.urgent && !giving.urgent)) return null;
  const line = cause.urgent
    ? policy.emergencyRatio
    : shedding
      ? shedTarget(situation, policy)
      : shedLine(situation, policy);
  const afterRatio = (measured.usedBytes - giving.bytes) / measured.budgetBytes;
  if (afterRatio >= line) return null;
  return {
    rule: "models-first",
    reason: `${cause.reason}, and ${giving.who} is about to give back ${formatBytes(giving.bytes)}, which brings it to ${formatPercent(Math.max(0, afterRatio))}`,
    actions: [],
    rejected: [],
  };
}
