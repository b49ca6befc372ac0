import { formatDuration, formatPercent } from "../config/units.ts";
import type { Metrics } from "../replay/tally.ts";
import type { ReplayReport } from "./replay.ts";
import type { DecidedAgain } from "./replay-database.ts";
import { table } from "./table.ts";

const mostListed = 20;

/** A replay for a person. */
export function describeReplay(report: ReplayReport): string {
  const { again, metrics, plot } = report;
  return [
    ...(again ? [...againLines(again), ""] : []),
    heading(report),
    ...report.notes,
    "",
    metrics ? metricLines(metrics) : "nothing to simulate: no stretch of at least 10 minutes was recorded",
    ...decisionLines(report),
    "",
    speed(report),
    ...(plot === null ? [] : [`the longest stretch is drawn in ${plot}`]),
  ].join("\n");
}

function heading({
  source,
  stretches,
  gaps,
  short,
  policy,
  forecast,
  seed,
  kernel,
  again,
}: ReplayReport): string {
  const cut = gaps > 0 ? `, cut at ${count(gaps, "gap")}` : ", no gap";
  const left = short > 0 ? `, ${count(short, "stretch", "stretches")} under 10 minutes left out` : "";
  const chance = again === null ? `, seed ${seed}` : "";
  return `${source}: ${count(stretches, "stretch", "stretches")}${cut}${left}; policy ${policy}, forecast ${forecast}${chance}, ${kernel} kernel`;
}

/** Longest text of a field that is shown of a difference. */
const longestShown = 400;

function againLines({ decisions, reproduced, different, differentCount, unusable }: DecidedAgain): string[] {
  const lines = [`${reproduced} of ${decisions} decisions reproduced`];
  for (const [because, times] of Object.entries(unusable))
    lines.push(`${count(times, "decision")} cannot be made again: ${because}`);
  for (const { id, at, differences } of different)
    for (const { field, recorded, again } of differences)
      lines.push(
        `decision ${id} of ${at} comes out otherwise: ${field}`,
        `  recorded: ${shortened(recorded)}`,
        `  now:      ${shortened(again)}`,
      );
  if (differentCount > different.length) lines.push(`and ${differentCount - different.length} more`);
  return lines;
}

const shortened = (text: string): string =>
  text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;

function metricLines(metrics: Metrics): string {
  const { availability, medianLeadSeconds, sheds, falseAlarms, flaps, flapsPerDay } = metrics;
  const each = Object.entries(availability).map(([name, share]) => `${name} ${percent(share)}`);
  return table([
    ["weighted availability", percent(metrics.weightedAvailability), each.join(", ")],
    ["killed by the kernel", String(metrics.oomKills), `in ${count(metrics.oomMinutes, "minute")}`],
    ["at or over 95 %", `${metrics.criticalMinutes.toFixed(1)} min`, `of ${metrics.days.toFixed(2)} days`],
    ["sheds", String(sheds), `${metrics.restores} restores`],
    ["flaps", String(flaps), `${flapsPerDay.toFixed(2)} a day: shed again within 10 min of the restore`],
    [
      "false alarms",
      String(falseAlarms),
      "sheds without which memory would not have come to 95 % within the horizon",
    ],
    [
      "lead time",
      medianLeadSeconds === null ? "-" : formatDuration(medianLeadSeconds * 1_000),
      "from a shed's decision to when memory would have come to 95 %, median of the others",
    ],
  ]);
}

function decisionLines({ decisions, decisionsLeftOut, rules }: ReplayReport): string[] {
  const total = decisions.length + decisionsLeftOut;
  if (total === 0) return ["", "nothing was decided"];
  const byRule = Object.entries(rules).map(([rule, times]) => `${rule} ${times}`);
  const rows = decisions
    .slice(0, mostListed)
    .map(({ stretch, atMs, usedRatio, rule, actions }) => [
      stretch,
      new Date(atMs).toISOString(),
      formatPercent(usedRatio),
      rule,
      actions.map(({ kind, plugin }) => `${kind} ${plugin}`).join(", "),
    ]);
  const more = total > rows.length ? [`and ${total - rows.length} more (-o json lists up to 1,000)`] : [];
  return [
    "",
    `${count(total, "decision")}: ${byRule.join(", ")}`,
    table([["STRETCH", "AT", "USED", "RULE", "ACTIONS"], ...rows]),
    ...more,
  ];
}

function speed({ samples, durationMs }: ReplayReport): string {
  const each = samples > 0 ? `, ${((durationMs * 1_000) / samples).toFixed(1)} µs each` : "";
  return `${samples.toLocaleString("en")} samples in ${formatDuration(durationMs)}${each}`;
}

const percent = (ratio: number): string => `${(ratio * 100).toFixed(3)} %`;
const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
