import { formatDuration } from "../config/units.ts";
import type { Comparison, MetricComparison, MetricKey } from "../replay/comparison.ts";
import type { CompareReport } from "./compare.ts";
import { table } from "./table.ts";

/** A comparison for a person. */
export function describeComparison(report: CompareReport): string {
  const { policies, trials, against, hosts, kernel, seeds, durationMs } = report;
  const letters = policies.map((name, index) => `${String.fromCharCode(65 + index)} = ${name}`);
  const count = `${trials.length} ${trials.length === 1 ? "host" : "hosts"}, ${seeds} ${seeds === 1 ? "seed" : "seeds"}`;
  return [
    letters.join(", "),
    `on ${count}: ${hosts}; ${kernel} kernel; ${formatDuration(durationMs)}`,
    ...against.flatMap(({ letter, comparison }) => ["", ...section(letter, comparison)]),
  ].join("\n");
}

/** How a metric is called and written. Counts are by the day. */
const shownAs: Record<MetricKey, { name: string; write: (value: number) => string }> = {
  weightedAvailability: { name: "weighted availability", write: (value) => `${(value * 100).toFixed(3)} %` },
  oomKills: { name: "kernel kills a day", write: fixed },
  oomMinutes: { name: "minutes with a kernel kill a day", write: fixed },
  criticalMinutes: { name: "minutes at 95 % a day", write: fixed },
  flaps: { name: "flaps a day", write: fixed },
  sheds: { name: "sheds a day", write: fixed },
  falseAlarms: { name: "false alarms a day", write: fixed },
  medianLeadSeconds: { name: "median lead time", write: (value) => `${value.toFixed(1)} s` },
};

function fixed(value: number): string {
  return value.toFixed(3);
}

function section(letter: string, { metrics, winner, because }: Comparison): string[] {
  const heading = ["METRIC", "A", letter, `${letter} - A`, "95 % INTERVAL", ""];
  const overall = verdict(winner === "B" ? letter : winner);
  return [
    table([heading, ...metrics.map((metric) => row(metric, letter))]),
    `overall: ${overall} (${because})`,
  ];
}

function row({ metric, a, b, difference, winner }: MetricComparison, letter: string): string[] {
  const { name, write } = shownAs[metric];
  if (a === null || b === null || difference === null) return [name, "-", "-", "-", "-", ""];
  const { mean, lower, upper } = difference;
  const told = winner === null ? "" : verdict(winner === "B" ? letter : winner);
  return [name, write(a), write(b), write(mean), `${write(lower)} to ${write(upper)}`, told];
}

const verdict = (winner: string): string => (winner === "cannot tell" ? winner : `${winner} is better`);
