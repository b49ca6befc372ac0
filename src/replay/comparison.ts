/** Which of two policies is better, by what both did on the same hosts. */

import { bootstrapMean, type Interval } from "./bootstrap.ts";
import type { Metrics } from "./tally.ts";

/** One host, run under each policy: `metrics` in the order of the policies. */
export interface Trial {
  label: string;
  metrics: readonly Metrics[];
}

export type Winner = "A" | "B" | "cannot tell";

export interface MetricComparison {
  metric: MetricKey;
  a: number | null;
  b: number | null;
  /** Of B less A over the hosts; null where it cannot be taken. */
  difference: Interval | null;
  /** Null: more of it is neither better nor worse. */
  winner: Winner | null;
}

export interface Comparison {
  metrics: MetricComparison[];
  /** By weighted availability, and where that does not tell, by kills of the kernel. */
  winner: Winner;
  because: string;
}

export const metricKeys = [
  "weightedAvailability",
  "oomKills",
  "oomMinutes",
  "criticalMinutes",
  "flaps",
  "sheds",
  "falseAlarms",
  "medianLeadSeconds",
] as const;
export type MetricKey = (typeof metricKeys)[number];

/** Whether more of it is better; null: neither. */
const better: Record<MetricKey, "more" | "less" | null> = {
  weightedAvailability: "more",
  oomKills: "less",
  oomMinutes: "less",
  criticalMinutes: "less",
  flaps: "less",
  sheds: "less",
  falseAlarms: "less",
  medianLeadSeconds: null,
};

/** With fewer hosts an interval says little, so nothing is told from it. */
export const leastTrials = 5;

/** Counts are by the day, so that hosts of different length compare. */
function amountOf(metrics: Metrics, key: MetricKey): number | null {
  const value = metrics[key];
  if (value === null || key === "weightedAvailability" || key === "medianLeadSeconds") return value;
  return value / metrics.days;
}

/** Policy `b` against policy `a`, both by their place in the trials. `seed` draws the bootstrap. */
export function compared(trials: readonly Trial[], a: number, b: number, seed: number): Comparison {
  const metrics = metricKeys.map((key) => comparedBy(trials, key, a, b, seed));
  const byKey = (key: MetricKey) => metrics.find(({ metric }) => metric === key)?.winner ?? "cannot tell";
  if (trials.length < leastTrials)
    return { metrics, winner: "cannot tell", because: `fewer than ${leastTrials} hosts` };
  if (byKey("weightedAvailability") !== "cannot tell")
    return { metrics, winner: byKey("weightedAvailability"), because: "by weighted availability" };
  if (byKey("oomKills") !== "cannot tell")
    return {
      metrics,
      winner: byKey("oomKills"),
      because: "alike by weighted availability, by kills of the kernel",
    };
  return {
    metrics,
    winner: "cannot tell",
    because: "alike by weighted availability and by kills of the kernel",
  };
}

function comparedBy(
  trials: readonly Trial[],
  metric: MetricKey,
  a: number,
  b: number,
  seed: number,
): MetricComparison {
  const pairs = trials.flatMap(({ metrics }) => {
    const [first, second] = [metrics[a], metrics[b]].map((each) => each && amountOf(each, metric));
    return typeof first === "number" && typeof second === "number" ? [[first, second] as const] : [];
  });
  if (pairs.length === 0)
    return { metric, a: null, b: null, difference: null, winner: better[metric] && "cannot tell" };
  const mean = (side: 0 | 1) => pairs.reduce((sum, pair) => sum + pair[side], 0) / pairs.length;
  const difference = bootstrapMean(
    pairs.map(([first, second]) => second - first),
    seed,
  );
  return { metric, a: mean(0), b: mean(1), difference, winner: winnerOf(metric, difference, pairs.length) };
}

function winnerOf(metric: MetricKey, { lower, upper }: Interval, pairs: number): Winner | null {
  const wanted = better[metric];
  if (wanted === null) return null;
  if (pairs < leastTrials || (lower <= 0 && upper >= 0)) return "cannot tell";
  return lower > 0 === (wanted === "more") ? "B" : "A";
}
