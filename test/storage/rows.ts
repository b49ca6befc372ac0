/** Rows for the storage tests; also imported by the processes that they start. */

import type { DecisionDraft } from "../../src/storage/decision-row.ts";
import type { SampleRow } from "../../src/storage/samples.ts";

export const keepAll = { samplesMs: 1e15, metricsMs: 1e15, decisionsMs: 1e15 };

export function sampleAt(atMs: number, usedBytes: number | null = 1_000): SampleRow {
  return {
    atMs,
    memoryUsedBytes: usedBytes,
    memoryBudgetBytes: 12 * 2 ** 30,
    cpuPercent: 12.5,
    swapUsedBytes: 0,
    swapTotalBytes: 0,
    diskUsedPercent: 40,
    diskFreeBytes: 5e10,
    load1: 0.5,
    load5: 0.4,
    load15: 0.3,
    psiMemorySomePercent: null,
    psiMemoryFullPercent: null,
    psiCpuSomePercent: 0,
    psiIoSomePercent: 0,
    psiIoFullPercent: 0,
  };
}

export function draftAt(
  atMs: number,
  plugins: string[] = ["voice"],
  inputs: unknown = { usedRatio: 0.83 },
): DecisionDraft {
  return {
    atMs,
    policy: "mission",
    rule: "shed",
    reason: "memory is at 83 %",
    inputs,
    forecast: { valueRatio: 0.85, lowerRatio: 0.8, upperRatio: 0.9 },
    plan: ["voice"],
    actions: [{ kind: "shed", plugin: "voice" }],
    alternatives: [],
    plugins,
  };
}
