/** What a shadow policy was promoted for, line by line. */

import { formatBytes, formatDuration, formatPercent } from "../../config/units.ts";
import type { DecisionFacts } from "./decision-facts.ts";
import type { Line } from "./inputs-text.ts";

type Totals = NonNullable<NonNullable<NonNullable<DecisionFacts["inputs"]["evidence"]>["regret"]>["acting"]>;

/** Empty for every decision but a promotion by evidence. */
export function evidenceLines({ inputs: { evidence } }: DecisionFacts): Line[] {
  if (!evidence) return [];
  const { regret, cost } = evidence;
  const lines: Line[] = [];
  if (regret) {
    lines.push(["replayed", `${regret.stretches} stretches of the record, under both policies`]);
    lines.push(["acting", totalsText(regret.acting)], ["the shadow", totalsText(regret.shadow)]);
  }
  if (cost)
    lines.push([
      "replay",
      `took ${formatDuration(cost.replayMs)} and held at most ${formatBytes(cost.peakBytes)}`,
    ]);
  return lines;
}

const totalsText = ({ weightedAvailability, sheds, criticalMinutes, oomMinutes }: Totals): string =>
  `${formatPercent(weightedAvailability)} of weighted availability, ${sheds.toFixed(0)} sheds, ${criticalMinutes.toFixed(1)} minutes at or over 95 %, ${oomMinutes.toFixed(0)} with OOM kills`;
