/** `conductor why now`: why nothing is done, or what is. */

import { formatBytes, formatDuration, formatPercent } from "../../config/units.ts";
import { escaped } from "../../log.ts";
import { alternativeLines, planLines } from "./actions-text.ts";
import { type DecisionFacts, decisionFacts } from "./decision-facts.ts";
import { indented, sections } from "./decision-text.ts";
import { inputLines, type Line, pluginLines, policyLines } from "./inputs-text.ts";

/** Of `/api/v1/scaling/status`. */
export interface StatusView {
  at: string;
  policy: string;
  shedding: boolean;
  /** The plugin that is being stopped. */
  stopping: string | null;
  measured: { usedBytes: number; budgetBytes: number; usedRatio: number } | null;
  /** Where shedding begins now. */
  shedLineRatio: number | null;
  forecast: unknown;
  verdict: { rule: string; reason: string; actions: unknown; rejected: unknown; plan?: unknown } | null;
  inputs: unknown;
}

/** The status in the words of a decision. */
export function nowText(status: StatusView): string {
  const { at, measured, verdict, inputs, forecast, policy } = status;
  if (!measured || !verdict) return "now: memory has not been measured yet; try again in a second";
  const { rule, reason, actions, rejected, plan } = verdict;
  const facts = decisionFacts({
    at,
    policy,
    rule,
    reason,
    inputs,
    forecast,
    plan,
    actions,
    alternatives: rejected,
  });
  return sections(
    [`now: ${escaped(headlineNow(status, facts))}`, at],
    [`  ${escaped(reasonNow(status, facts))}.`],
    indented([...room(status, facts), ...inputLines(facts), ...pluginLines(facts)]),
    indented([...policyLines(facts), ...planLines(facts), ...alternativeLines(facts)]),
  );
}

function headlineNow({ stopping, shedding }: StatusView, { actions, rule }: DecisionFacts): string {
  if (stopping !== null) return `${stopping} is being stopped`;
  const [action] = actions;
  if (rule === "restore" && action) return `${action.plugin} is being brought back`;
  return shedding ? "memory is short, and no further plugin is stopped" : "nothing is done";
}

/** "nothing to do" alone tells little. */
function reasonNow({ measured, shedLineRatio }: StatusView, { reason }: DecisionFacts): string {
  if (reason !== "nothing to do" || !measured || shedLineRatio === null) return reason;
  const used = formatPercent(measured.usedRatio);
  return `${used} of the budget is used, under the shed line of ${formatPercent(shedLineRatio)}, and no plugin waits to come back`;
}

/** How far the shed line is. */
function room({ measured, shedLineRatio }: StatusView, { inputs }: DecisionFacts): Line[] {
  if (!measured || shedLineRatio === null || measured.usedRatio >= shedLineRatio) return [];
  const bytes = (shedLineRatio - measured.usedRatio) * measured.budgetBytes;
  const growth = inputs.growthPerSecond ?? 0;
  const pace = growth > 0 ? `, ${formatDuration((1_000 * bytes) / growth)} at the present growth` : "";
  return [["room", `${formatBytes(bytes)} up to the shed line of ${formatPercent(shedLineRatio)}${pace}`]];
}
