/** Decisions on local models, in words. */

import { formatBytes, formatDuration } from "../../config/units.ts";
import type { ActionFacts, DecisionFacts } from "./decision-facts.ts";

export const isOfModels = ({ policy }: DecisionFacts): boolean => policy === "ladder";

const past: Record<string, (action: ActionFacts) => string> = {
  load: ({ plugin }) => `${plugin} was loaded`,
  unload: ({ plugin }) => `${plugin} was unloaded`,
  cut: ({ plugin }) => `${plugin} was ended at once`,
  trim: ({ plugin }) => `${plugin} goes on with less`,
  switch: ({ plugin, from }) =>
    from && from !== plugin ? `${plugin} took the place of ${from}` : `${plugin} was loaded anew`,
};

/** What was done, in a few words: "small took the place of large". */
export function modelHeadline({ actions: [action], outcome }: DecisionFacts): string {
  if (!action) return "nothing was done";
  if (outcome === "pending") return `${action.kind} ${action.plugin}: still under way`;
  if (outcome === "failed") return `${action.kind} ${action.plugin} failed`;
  return past[action.kind]?.(action) ?? `${action.kind} ${action.plugin}`;
}

/** One action with what it takes, how long it took, and why it failed. */
export function modelActionText({
  kind,
  plugin,
  from,
  expectedBytes,
  durationMs,
  done,
  detail,
}: ActionFacts): string[] {
  const instead = from && from !== plugin ? ` in place of ${from}` : "";
  const needs = expectedBytes ? `, which takes ${formatBytes(expectedBytes)}` : "";
  const took = typeof durationMs === "number" ? `: ${formatDuration(durationMs)}` : ", still under way";
  return [`${kind} ${plugin}${instead}${needs}${took}`, ...(detail && done !== true ? [detail] : [])];
}
