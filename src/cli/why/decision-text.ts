/** A decision in words: what was done and why first, then what it was made from. */

import { escaped } from "../../log.ts";
import { actionLines, alternativeLines, headline, planLines } from "./actions-text.ts";
import type { DecisionFacts } from "./decision-facts.ts";
import { evidenceLines } from "./evidence-text.ts";
import { inputLines, type Line, pluginLines, policyLines } from "./inputs-text.ts";

const ruleTexts: Readonly<Record<string, string>> = {
  emergency: "the measured use is at the emergency line",
  threshold: "the measured use is at the shed line",
  continue: "the last victim was not enough",
  forecast: "the forecast reaches the line",
  stall: "everything waits for memory too long",
  load: "many requests, and more and more",
  spike: "suddenly many more requests than usual",
  "time-of-day": "a peak that this time of the day usually brings",
  restore: "there is room again for what was shed",
  hold: "memory is short, and nothing can be shed",
  promoted: "a shadow policy begins to act",
  kept: "a shadow policy has passed its probation",
  "rolled-back": "the configured policy acts again",
};

const labelWidth = 12;

/** "label       text", two columns in. */
export const indented = (lines: readonly Line[]): string[] =>
  lines.map(([label, text]) => `  ${label.padEnd(labelWidth)}${escaped(text)}`.trimEnd());

/** Sections apart by an empty line; empty ones are left out. */
export const sections = (...groups: readonly (readonly string[])[]): string =>
  groups
    .filter((group) => group.length > 0)
    .map((group) => group.join("\n"))
    .join("\n\n");

/** `later`: what became of its plugins since. */
export function decisionText(id: number, decision: DecisionFacts, later: readonly string[] = []): string {
  const { at, rule, reason, outcome, note } = decision;
  const meaning = ruleTexts[rule];
  const since = later.map((line, index): Line => [index === 0 ? "since then" : "", line]);
  return sections(
    [
      `decision ${id}: ${escaped(headline(decision))}`,
      `${at}, rule "${escaped(rule)}"${meaning === undefined ? "" : `: ${meaning}`}`,
    ],
    [`  ${escaped(reason)}.`],
    indented([...actionLines(decision), ["outcome", note ? `${outcome}: ${note}` : outcome], ...since]),
    indented([...evidenceLines(decision), ...inputLines(decision), ...pluginLines(decision)]),
    indented([...policyLines(decision), ...planLines(decision), ...alternativeLines(decision)]),
  );
}
