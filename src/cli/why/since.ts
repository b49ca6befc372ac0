/** What became of the plugins of a decision afterwards. */

import { formatDuration } from "../../config/units.ts";
import { decisionFacts } from "./decision-facts.ts";
import type { DecisionSource, ShownDecision } from "./decision-source.ts";

/** Plugins that are looked after, and how many of the newest decisions about each. */
const mostPlugins = 5;
const mostDecisions = 50;

/** A line for each plugin that the decision is about, of the next thing that happened to it. */
export async function sinceThen(source: DecisionSource, decision: ShownDecision): Promise<string[]> {
  const { actions, at } = decisionFacts(decision);
  const lines: string[] = [];
  for (const { plugin, kind, done } of actions.slice(0, mostPlugins)) {
    if (done !== true) continue;
    const about = await source.newest(mostDecisions, plugin);
    const next = about.findLast(({ id }) => id > decision.id);
    // Where the window ends before the decision, what came next is not known.
    const oldest = about.at(-1)?.id ?? 0;
    if (oldest <= decision.id) lines.push(sentence(plugin, kind, at, next));
  }
  return lines;
}

function sentence(plugin: string, kind: string, at: string, next: ShownDecision | undefined): string {
  if (next === undefined)
    return kind === "shed" ? `${plugin} has not been brought back` : `nothing was decided about ${plugin}`;
  const facts = decisionFacts(next);
  const then = facts.actions.find((action) => action.plugin === plugin)?.kind;
  const what = then === "restore" ? "was brought back" : "was stopped again";
  return `${plugin} ${what} ${formatDuration(Date.parse(facts.at) - Date.parse(at))} later, by decision ${next.id}`;
}
