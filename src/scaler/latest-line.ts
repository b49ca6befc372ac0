/**
 * Where shedding begins. `mission`: at a fixed share of the budget. `adaptive`: at the latest moment at which the memory of a
 * victim is still back before the emergency line is reached, at the pace at which the use grows now:
 *
 *   line = emergency - growth x (time to reclaim + time to notice) x safety, from `shed` - 10 points up to `shed`
 *
 * earlyoom acts at a fixed share; the pace is what tells whether that is early or late. Pure.
 */

import type { Policy, Situation } from "./situation.ts";

/** A victim's memory is back after so long, until it was measured. */
export const usualReclaimMs = 400;
/** Between two readings near the line, and to decide. */
const noticeMs = 100;
/** Growth that becomes half as fast again while a victim is stopped is still met. */
const safety = 1.5;
/** However fast it grows: plugins that start fill memory as fast as it goes, and stop soon. */
const mostEarlyRatio = 0.1;

/** Bytes by which the use may grow until a victim's memory is back. */
const reactionBytes = (growthPerSecond: number, reclaimMs: number): number =>
  (growthPerSecond * safety * (reclaimMs + noticeMs)) / 1_000;

/** The share of the budget from which plugins are shed. */
export function shedLine(situation: Situation, policy: Policy): number {
  const { growthPerSecond = 0, reclaimMs = usualReclaimMs, measured } = situation;
  return lineFor(growthPerSecond, reclaimMs, measured.budgetBytes, policy);
}

/** That share while the use grows by so much and a victim's memory is back after so long. */
export function lineFor(
  growthPerSecond: number,
  reclaimMs: number,
  budgetBytes: number,
  policy: Policy,
): number {
  if (policy.kind !== "adaptive") return policy.shedRatio;
  const latest = policy.emergencyRatio - reactionBytes(growthPerSecond, reclaimMs) / budgetBytes;
  return Math.min(policy.shedRatio, Math.max(policy.shedRatio - mostEarlyRatio, latest));
}

/** Once shedding, it goes on until the use is under this share. */
export const shedTarget = (situation: Situation, policy: Policy): number =>
  shedLine(situation, policy) - policy.marginRatio;

/** From here on what is no more than an early sign may shed. */
export const earlyLine = (policy: Policy): number => policy.shedRatio - 2 * policy.marginRatio;

/**
 * Milliseconds that a victim may take to finish its requests and to end, so that its memory is back before the emergency
 * line would be reached; undefined while nothing grows: the usual grace.
 */
export function drainMs(situation: Situation, policy: Policy): number | undefined {
  const { growthPerSecond = 0, reclaimMs = usualReclaimMs, measured } = situation;
  if (growthPerSecond <= 0) return undefined;
  const headroom = policy.emergencyRatio * measured.budgetBytes - measured.usedBytes;
  return Math.max(0, Math.round((1_000 * headroom) / growthPerSecond - reclaimMs));
}
