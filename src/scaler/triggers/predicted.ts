import { formatPercent } from "../../config/units.ts";
import { earlyLine } from "../latest-line.ts";
import { borneOut, type Situation, sinceChangeMs } from "../situation.ts";
import { measuredRatio, type Trigger } from "./trigger.ts";

const used = (situation: Situation): string =>
  `${formatPercent(measuredRatio(situation))} of the budget is used`;

/**
 * The forecast reaches the line. `mission`: its smoothed value, as far ahead as its history bears out, the shed line.
 * `adaptive`: even the lower bound of an interval that has proved itself the emergency line, and memory is already short: else
 * waiting costs nothing.
 */
export const predicted: Trigger = (situation, forecast, policy) => {
  if (forecast?.state !== "ready") return null;
  // Right after a change its effect is not in the forecast yet; the measured value still sheds at once.
  if (sinceChangeMs(situation) < policy.dwellMs) return null;
  if (policy.kind === "adaptive") {
    const sure = forecast.calibration === "calibrated" && forecast.lowerRatio >= policy.emergencyRatio;
    if (!sure || measuredRatio(situation) < earlyLine(policy)) return null;
    return {
      rule: "forecast",
      reason: `the forecast is at least ${formatPercent(forecast.lowerRatio)}, over the emergency line of ${formatPercent(policy.emergencyRatio)}; ${used(situation)} now`,
    };
  }
  const { reachShare = 1, smoothedRatio } = forecast;
  const ratio = borneOut(smoothedRatio, measuredRatio(situation), forecast);
  if (ratio < policy.shedRatio) return null;
  const part = reachShare < 1 ? ` as far ahead as its history bears out` : "";
  return {
    rule: "forecast",
    reason: `the smoothed forecast is ${formatPercent(ratio)}${part}, at or over the shed line of ${formatPercent(policy.shedRatio)}; ${used(situation)} now`,
  };
};
