/** A recorded decision as it is shown: ISO times, and what came of each action beside it. */

import type { DecisionRecord } from "../storage/decision-row.ts";
import { isoTime, isoTimeOrNull } from "./services.ts";

/** The decision with what came of each action beside it. */
export function decisionView(record: DecisionRecord) {
  const actions = Array.isArray(record.actions) ? record.actions : [];
  const outcomes = Array.isArray(record.outcome) ? record.outcome : [];
  return {
    id: record.id,
    at: isoTime(record.atMs),
    policy: record.policy,
    rule: record.rule,
    reason: record.reason,
    inputs: isoTimesIn(record.inputs),
    forecast: isoTimesIn(record.forecast),
    plan: record.plan,
    actions: actions.map((action) => ({ ...(action as object), ...outcomeOf(action, outcomes) })),
    alternatives: record.alternatives,
    outcome: outcomeText(actions.length, outcomes),
    outcomeAt: isoTimeOrNull(record.outcomeAtMs),
    hash: record.hash,
  };
}

/** A line of the export: the record as it lies in its row, so that what is noted elsewhere can be compared. */
export const auditLine = ({ atMs, outcomeAtMs, ...record }: DecisionRecord) => ({
  ...record,
  at: isoTime(atMs),
  outcomeAt: isoTimeOrNull(outcomeAtMs),
});

/** Keys of recorded times, and what each is called where it is shown. */
const timeNames: Readonly<Record<string, string>> = {
  lastChangeMs: "lastChangeAt",
  putOffUntilMs: "putOffUntil",
  atMs: "at",
};

/** The last millisecond that a Date can hold. */
const mostMs = 8.64e15;

/** Data with its times written as every answer writes them; null stays null. */
export function isoTimesIn(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(isoTimesIn);
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => {
      const name = Object.hasOwn(timeNames, key) ? timeNames[key] : undefined;
      if (name !== undefined && value === null) return [name, null];
      const isTime = name !== undefined && typeof value === "number" && Math.abs(value) <= mostMs;
      return isTime ? [name, isoTime(value)] : [key, isoTimesIn(value)];
    }),
  );
}

/** What came of an action; nothing while it is under way. */
function outcomeOf(action: unknown, outcomes: readonly unknown[]): object {
  const { plugin } = action as { plugin?: unknown };
  return (outcomes.find((each) => (each as { plugin?: unknown }).plugin === plugin) ?? {}) as object;
}

function outcomeText(actions: number, outcomes: unknown[]): "none" | "pending" | "done" | "failed" {
  if (actions === 0) return "none";
  if (outcomes.length < actions) return "pending";
  return outcomes.every((each) => (each as { done?: unknown }).done === true) ? "done" : "failed";
}
