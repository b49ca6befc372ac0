/** What was planned, what was done, what came of it, and what was not done and why. */

import { formatBytes, formatDuration, formatPercent } from "../../config/units.ts";
import type { ActionFacts, DecisionFacts } from "./decision-facts.ts";
import type { Line } from "./inputs-text.ts";
import { isOfModels, modelActionText, modelHeadline } from "./model-text.ts";

/** Actions, steps and alternatives that are told; the rest is counted. */
const mostTold = 20;

const bytesOr = (bytes: number | null | undefined, unknown: string): string =>
  typeof bytes === "number" ? formatBytes(bytes) : unknown;

/** The first `mostTold` lines, the first of them with the label, and how many more there are. */
function told(label: string, lines: readonly string[]): Line[] {
  const shown = lines.slice(0, mostTold);
  if (lines.length > mostTold) shown.push(`and ${lines.length - mostTold} more (-o json has them all)`);
  return shown.map((line, index) => [index === 0 ? label : "", line]);
}

/** Who would have to go, one after the other, until the use is under the target. */
export function planLines({ plan }: DecisionFacts): Line[] {
  if (!plan) return [];
  if (Array.isArray(plan)) return plan.length === 0 ? [] : told("plan", [`${plan.join(", then ")}`]);
  const { targetRatio, steps } = plan;
  if (steps.length === 0) return [];
  const last = steps.at(-1);
  const enough = last !== undefined && last.afterRatio < targetRatio;
  const end = enough ? "" : ", which would not be enough";
  return told("plan", [
    `to under ${formatPercent(targetRatio)}, measured again after each step${end}`,
    ...steps.map(
      ({ plugin, bytes, afterRatio }, index) =>
        `${index + 1}. ${plugin}: ${bytesOr(bytes, "an unknown amount")}, which leaves ${formatPercent(afterRatio)}`,
    ),
  ]);
}

/** What was done, and how it went. */
export function actionLines(decision: DecisionFacts): Line[] {
  const lines = decision.actions.flatMap((action, index) => {
    const [what, ...more] = actionText(action, decision, index === 0);
    return [what ?? "", ...more.map((line) => `  ${line}`)];
  });
  return told("action", lines);
}

function actionText(action: ActionFacts, decision: DecisionFacts, isFirst: boolean): string[] {
  if (isOfModels(decision)) return modelActionText(action);
  const { kind, plugin, urgent, expectedBytes, actualBytes, durationMs, done, detail } = action;
  const how = urgent ? ", at once" : "";
  const expected = `expected ${bytesOr(expectedBytes, "an unknown amount")}`;
  if (decision.outcome === "observed") return [`would ${kind} ${plugin}${how}: ${expected}`];
  if (typeof durationMs !== "number") return [`${kind} ${plugin}${how}: ${expected}, still under way`];
  const verb = kind === "shed" ? "back" : "taken";
  const actual = bytesOr(actualBytes, "an unmeasured amount");
  const lines = [`${kind} ${plugin}${how}: ${expected}, ${actual} ${verb} in ${formatDuration(durationMs)}`];
  lines.push(
    ...[notice(action), timing(action, decision, isFirst), change(action, decision)].filter(
      (line) => line !== null,
    ),
  );
  if (action.drainMs !== null && action.drainMs !== undefined)
    lines.push(
      `memory left it at most ${formatDuration(action.drainMs)} to end by itself${action.killed ? ", and it was killed" : ""}`,
    );
  if (detail && kind === "shed") lines.push(`its end: ${detail}`);
  else if (detail && done !== true) lines.push(detail);
  return lines;
}

/** From the crossing of the line to the reading, and from that to the order to stop. Null where it is not known. */
function notice({ kind, urgent, noticedMs, signalMs }: ActionFacts): string | null {
  if (kind !== "shed" || typeof signalMs !== "number") return null;
  const ordered = `${urgent ? "killed" : "told to stop"} ${formatDuration(signalMs)} after the reading`;
  return typeof noticedMs === "number"
    ? `the line was crossed ${formatDuration(noticedMs)} before the reading that saw it; ${ordered}`
    : ordered;
}

/** From the decision to the signal to the memory. The later victims of one decision wait for the ones before them. */
function timing(
  { kind, urgent, startedAt, durationMs }: ActionFacts,
  { at }: DecisionFacts,
  isFirst: boolean,
) {
  if (!startedAt || typeof durationMs !== "number") return null;
  const waitedMs = Date.parse(startedAt) - Date.parse(at);
  if (!Number.isFinite(waitedMs) || waitedMs < 0) return null;
  const [begun, end] = kind === "shed" ? ["signalled", "its memory back"] : ["started", "ready"];
  const after =
    isFirst || urgent ? "after the decision" : "after the decision, when those before it were gone";
  return `${begun} ${formatDuration(waitedMs)} ${after}; ${end} ${formatDuration(waitedMs + durationMs)} after it`;
}

/** The use before and after. */
function change({ beforeBytes, afterBytes }: ActionFacts, { inputs: { measured } }: DecisionFacts) {
  if (typeof beforeBytes !== "number" || typeof afterBytes !== "number" || !measured) return null;
  const share = (bytes: number) => formatPercent(bytes / measured.budgetBytes);
  return `memory went from ${share(beforeBytes)} to ${share(afterBytes)} of the budget`;
}

/** What else could have been done. */
export const alternativeLines = ({ alternatives }: DecisionFacts): Line[] =>
  told(
    "not",
    alternatives.map(({ kind, plugin, because }) => `${kind} ${plugin}: ${because}`),
  );

/** Rules of the records that say which policy acts. */
const policyChanges: readonly string[] = ["promoted", "kept", "rolled-back"];

/** What was shed and restored, in a few words: "voice was shed, 118 MiB came back". */
export function headline(decision: DecisionFacts): string {
  if (isOfModels(decision)) return modelHeadline(decision);
  const { actions, outcome, rule } = decision;
  if (policyChanges.includes(rule)) return "another policy acts, or goes on to";
  if (outcome === "observed") return "observed: nothing was done";
  if (actions.length === 0)
    return rule === "models-first"
      ? "models give memory back first"
      : rule === "hold"
        ? "nothing is left that could be shed"
        : "nothing was done";
  const names = actions.slice(0, mostTold).map(({ plugin }) => plugin);
  const more = actions.length - names.length;
  const who = more > 0 ? `${names.join(", ")} and ${more} more` : listed(names);
  const several = actions.length > 1;
  const restored = actions[0]?.kind === "restore";
  if (outcome === "pending")
    return `${who} ${several ? "are" : "is"} being ${restored ? "brought back" : "stopped"}`;
  if (outcome === "failed") {
    const failed = actions.filter(({ done }) => done !== true).map(({ plugin }) => plugin);
    return `${listed(failed.slice(0, mostTold))} could not be ${restored ? "brought back" : "stopped"}`;
  }
  if (restored) return `${who} ${several ? "were" : "was"} brought back`;
  const freed = freedBytes(actions);
  const back = freed === null ? "" : `, ${formatBytes(freed)} came back`;
  return `${who} ${several ? "were" : "was"} stopped${back}`;
}

/** Several may be stopped side by side, so what each freed is no sum. Null where it was not measured. */
function freedBytes(actions: readonly ActionFacts[]): number | null {
  const before = actions[0]?.beforeBytes;
  const after = actions.at(-1)?.afterBytes;
  return typeof before === "number" && typeof after === "number" ? Math.max(0, before - after) : null;
}

const listed = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
