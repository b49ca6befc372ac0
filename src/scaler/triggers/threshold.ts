import { formatBytes, formatPercent } from "../../config/units.ts";
import { shedLine, shedTarget } from "../latest-line.ts";
import type { Policy, Situation } from "../situation.ts";
import { measuredRatio, type Trigger } from "./trigger.ts";

const used = (situation: Situation): string =>
  `${formatPercent(measuredRatio(situation))} of the budget is used`;

/** The measured use is at the shed line. */
export const threshold: Trigger = (situation, _, policy) => {
  const line = shedLine(situation, policy);
  if (measuredRatio(situation) < line) return null;
  return {
    rule: "threshold",
    reason: `${used(situation)}, at or over the shed line of ${formatPercent(line)}${pace(situation, policy, line)}`,
  };
};

/** Why an adaptive line lies where it does. */
function pace({ growthPerSecond = 0 }: Situation, policy: Policy, line: number): string {
  if (line >= policy.shedRatio) return "";
  return ` for a growth of ${formatBytes(growthPerSecond)} a second`;
}

/** A victim was not enough. */
export const continuing: Trigger = (situation, _, policy) => {
  const target = shedTarget(situation, policy);
  if (!situation.shedding || measuredRatio(situation) < target) return null;
  return {
    rule: "continue",
    reason: `${used(situation)}, not yet under ${formatPercent(target)} after the last shed`,
  };
};
