/** Signs that memory will be short soon. They shed one plugin at a time, and only where memory is short already. */

import { formatPercent } from "../../config/units.ts";
import { earlyLine } from "../latest-line.ts";
import { type Policy, type Situation, sinceChangeMs } from "../situation.ts";
import { type Cause, measuredRatio, type Trigger } from "./trigger.ts";

/** The kernel averages stalls over 10 s: what a shed changed shows only then. */
const leastPauseMs = 10_000;

/** Twice the usual rate is a spike. */
const spikeFactor = 2;
/** Fewer requests a second than this are never a spike. */
const leastSpikePerSecond = 1;

function when(situation: Situation, policy: Policy, cause: Cause | null): Cause | null {
  if (cause === null || measuredRatio(situation) < earlyLine(policy)) return null;
  if (sinceChangeMs(situation) < Math.max(policy.dwellMs, leastPauseMs)) return null;
  const now = formatPercent(measuredRatio(situation));
  return {
    ...cause,
    reason: `${cause.reason}, with ${now} of the budget used, at or over ${formatPercent(earlyLine(policy))}`,
  };
}

/** Every task waits for memory. */
export const stall: Trigger = (situation, _, policy) => {
  const [percent, line] = [situation.stallPercent ?? 0, policy.triggers?.stallPercent];
  if (line === undefined || percent < line) return null;
  const reason = `for ${percent.toFixed(1)} % of the last 10 s everything waited for memory, at or over ${line} %`;
  return when(situation, policy, { rule: "stall", reason });
};

/** Many requests, and more and more. */
export const load: Trigger = (situation, _, policy) => {
  const line = policy.triggers?.loadPerSecond ?? null;
  const { load: facts } = situation;
  // Of the last half minute: five seconds come over the line by chance, at 20 a second and a line of 25 twice a day.
  if (line === null || !facts?.rising || facts.recentPerSecond < line) return null;
  const reason = `${facts.recentPerSecond.toFixed(1)} requests a second in the last 30 s, over ${line} and rising`;
  return when(situation, policy, { rule: "load", reason });
};

/** Suddenly twice as many requests as usual. */
export const spike: Trigger = (situation, _, policy) => {
  const { load: facts } = situation;
  if (!policy.triggers?.spike || !facts || facts.usualPerSecond === null) return null;
  const line = Math.max(leastSpikePerSecond, spikeFactor * facts.usualPerSecond);
  if (facts.recentPerSecond < line) return null;
  const reason = `${facts.recentPerSecond.toFixed(1)} requests a second in the last 30 s, at least twice the usual ${facts.usualPerSecond.toFixed(1)}`;
  return when(situation, policy, { rule: "spike", reason });
};

/** A peak that comes at this time of the day. */
export const timeOfDay: Trigger = (situation, _, policy) => {
  const { ahead } = situation;
  if (!policy.triggers?.timeOfDay || !ahead) return null;
  const peakRatio = measuredRatio(situation) + ahead.riseRatio;
  if (peakRatio < policy.shedRatio) return null;
  const at = new Date(ahead.atMs).toISOString().slice(11, 16);
  const reason = `at this time of the day the use rises by ${formatPercent(ahead.riseRatio)} until ${at} UTC, which would make ${formatPercent(peakRatio)}, at or over the shed line of ${formatPercent(policy.shedRatio)}`;
  return when(situation, policy, { rule: "time-of-day", reason });
};
