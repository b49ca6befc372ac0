/**
 * Which model to hold in memory. Pure: a live manager, a simulation and a replay run this same function.
 *
 *             measured >= 95 %: idle models go, answers are cut, a load is given up
 *          +--------------------------------------------------------------------------> emergency
 *          |
 *   best that fits --- measured or expected >= its line, or it is slow, or it fails --> the cascade (step-down.ts)
 *          ^                                                                              |
 *          +------ calm for 5 minutes, fits 5 points under its line, not put off <--------+
 *
 * One model changes at a time, and memory settles before the next one does.
 */

import { formatPercent } from "../config/units.ts";
import {
  holding,
  type LadderPolicy,
  type LadderSituation,
  type LadderVerdict,
  type ModelFacts,
} from "./ladder-facts.ts";
import { giveBack, toPinned, underPin } from "./ladder-orders.ts";
import { isIdle, isReady } from "./ladder-room.ts";
import { freedBy } from "./need.ts";
import { stepDown } from "./step-down.ts";
import { stepUp } from "./step-up.ts";

/** What to do now. Never touches a model in use, or one that was just loaded, short of an emergency. */
export function decideModel(situation: LadderSituation, policy: LadderPolicy): LadderVerdict {
  const { memory, models, nowMs, lastChangeMs } = situation;
  const changing = models.find(({ state }) => state === "loading" || state === "unloading");
  // What is promised is not held: an emergency is measured.
  const heldRatio = memory.usedBytes / memory.budgetBytes;
  if (heldRatio >= policy.emergencyRatio) return emergency(situation, policy, heldRatio, changing);
  if (changing) return holding(`one change at a time: ${changing.name} is ${changing.state}`);
  const back = giveBack(situation);
  if (back) return back;
  if (lastChangeMs !== null && nowMs - lastChangeMs < policy.settleMs)
    return holding("memory settles after the last change");
  const stuck = models.find(({ state, heldBytes }) => state === "failed" && (heldBytes ?? 0) > 0);
  if (stuck)
    return {
      rule: "still-held",
      action: "unload",
      model: stuck.name,
      reason: `${stuck.name} failed, and what it holds is given back`,
      rejected: [],
    };
  return stepDown(situation, policy) ?? toPinned(situation, policy) ?? stepUp(underPin(situation), policy);
}

function emergency(
  { models }: LadderSituation,
  { emergencyRatio }: LadderPolicy,
  heldRatio: number,
  changing: ModelFacts | undefined,
): LadderVerdict {
  const cause = `${formatPercent(heldRatio)} of the budget is used, at or over the emergency line of ${formatPercent(emergencyRatio)}`;
  const because = (model: ModelFacts, rest: string) => ({
    rule: "emergency" as const,
    model: model.name,
    reason: `${cause}: ${rest}`,
    rejected: [],
  });
  if (changing?.state === "loading")
    return { ...because(changing, `loading ${changing.name} is given up`), action: "cut" };
  if (changing) return holding(`${cause}, and ${changing.name} is unloading already`);
  const holders = models.filter((model) => isReady(model) && freedBy(model) > 0);
  // Whoever disturbs nobody goes first, and of them the largest.
  const [first] = holders.toSorted(
    (one, other) => Number(isIdle(other)) - Number(isIdle(one)) || freedBy(other) - freedBy(one),
  );
  if (!first) return holding(`${cause}, and no model holds memory that could come back`);
  return isIdle(first)
    ? { ...because(first, `${first.name} is unloaded at once`), action: "unload" }
    : { ...because(first, `answers of ${first.name} are cut and it is unloaded`), action: "cut" };
}
