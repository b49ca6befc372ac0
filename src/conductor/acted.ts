/** What the scaler did, from the audit. */

import type { Acted } from "../scaler/promotion.ts";
import type { DecisionRecord } from "../storage/decision-row.ts";
import type { Storage } from "../storage/storage.ts";

const pageRows = 500;
/** 5,000 decisions. */
const mostPages = 10;

export interface ActedSince {
  /** The oldest first. */
  actions: Acted[];
  /** When decisions under the rule "emergency" were taken. */
  emergenciesAtMs: number[];
}

/** The decisions that were carried out since `fromMs`, at most the newest 5,000. Throws StorageError. */
export function actedSince({ decisions }: Pick<Storage, "decisions">, fromMs: number): ActedSince {
  const since: ActedSince = { actions: [], emergenciesAtMs: [] };
  let beforeId: number | undefined;
  for (let pages = 0; pages < mostPages; pages++) {
    const page = decisions.list({ limit: pageRows, beforeId });
    const recent = page.decisions.filter(({ atMs }) => atMs >= fromMs);
    for (const decision of recent) take(decision, since);
    if (page.nextBeforeId === null || recent.length < page.decisions.length) break;
    beforeId = page.nextBeforeId;
  }
  since.actions.reverse();
  return since;
}

function take({ atMs, rule, actions, outcome }: DecisionRecord, since: ActedSince): void {
  // What was only observed has an outcome of another shape.
  if (!Array.isArray(actions) || (outcome !== null && !Array.isArray(outcome))) return;
  if (rule === "emergency") since.emergenciesAtMs.push(atMs);
  for (const action of actions.toReversed()) {
    const { kind, plugin } = action as { kind?: unknown; plugin?: unknown };
    if ((kind === "shed" || kind === "restore") && typeof plugin === "string")
      since.actions.push({ atMs, kind, plugin });
  }
}
