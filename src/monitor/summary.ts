/** The window in one object, for a person. */

import type { MemoryReading } from "./budget.ts";
import type { Sample } from "./sample.ts";
import type { Trend } from "./trend.ts";
import type { SampleWindow } from "./window.ts";

export interface Summary {
  current: Sample | null;
  /** What sets the budget now; null when memory could not be read. */
  budget: Pick<MemoryReading, "budgetBytes" | "source" | "cgroup"> | null;
  memoryTrend: Trend | null;
  /** Null while there is no slope. */
  memoryDirection: "rising" | "falling" | "steady" | null;
  /** Time of the oldest sample, milliseconds since the epoch. */
  sinceMs: number | null;
  samples: number;
  /** Samples in which memory could not be read. */
  memoryGaps: number;
}

/** Memory is steady while its line moves by less than this over the whole window, in percent of the budget. */
const steadyPercent = 1;

export function summarize(window: SampleWindow): Summary {
  const samples = window.history();
  const current = window.current();
  const memory = current?.memory ?? null;
  const memoryTrend = window.trend("memoryUsedPercent");
  const sinceMs = samples[0]?.atMs ?? null;
  const minutes = sinceMs === null || !current ? 0 : (current.atMs - sinceMs) / 60_000;
  return {
    current,
    budget: memory && { budgetBytes: memory.budgetBytes, source: memory.source, cgroup: memory.cgroup },
    memoryTrend,
    memoryDirection: directionOf(memoryTrend?.slopePerMinute ?? null, minutes),
    sinceMs,
    samples: samples.length,
    memoryGaps: samples.filter((sample) => sample.memory === null).length,
  };
}

function directionOf(slopePerMinute: number | null, minutes: number): Summary["memoryDirection"] {
  if (slopePerMinute === null) return null;
  const moved = slopePerMinute * minutes;
  return Math.abs(moved) < steadyPercent ? "steady" : moved > 0 ? "rising" : "falling";
}
