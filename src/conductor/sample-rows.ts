/** Samples to rows of the database, and back to warm the window after a restart. */

import type { MemoryReading } from "../monitor/budget.ts";
import type { FootprintReading } from "../monitor/footprint.ts";
import type { Sample } from "../monitor/sample.ts";
import type { FootprintRow } from "../storage/footprints.ts";
import type { SampleRow } from "../storage/samples.ts";

export function rowOf({ atMs, cpuPercent, memory, disk, load, pressure }: Sample): SampleRow {
  return {
    atMs,
    memoryUsedBytes: memory?.usedBytes ?? null,
    memoryBudgetBytes: memory?.budgetBytes ?? null,
    cpuPercent,
    swapUsedBytes: memory?.swapUsedBytes ?? null,
    swapTotalBytes: memory?.swapTotalBytes ?? null,
    diskUsedPercent: disk?.usedPercent ?? null,
    diskFreeBytes: disk?.freeBytes ?? null,
    load1: load?.load1 ?? null,
    load5: load?.load5 ?? null,
    load15: load?.load15 ?? null,
    psiMemorySomePercent: pressure.memory?.somePercent ?? null,
    psiMemoryFullPercent: pressure.memory?.fullPercent ?? null,
    psiCpuSomePercent: pressure.cpu?.somePercent ?? null,
    psiIoSomePercent: pressure.io?.somePercent ?? null,
    psiIoFullPercent: pressure.io?.fullPercent ?? null,
  };
}

/** What a row still tells of its sample, with the footprints of that time; what was not kept is a gap. */
export function sampleOf(row: SampleRow, held: readonly FootprintRow[] | null): Sample {
  return {
    atMs: row.atMs,
    cpuPercent: row.cpuPercent,
    memory: memoryOf(row),
    disk: null,
    load:
      row.load1 === null || row.load5 === null || row.load15 === null
        ? null
        : { load1: row.load1, load5: row.load5, load15: row.load15 },
    pressure: {
      memory: pressureOf(row.psiMemorySomePercent, row.psiMemoryFullPercent),
      cpu: pressureOf(row.psiCpuSomePercent, null),
      io: pressureOf(row.psiIoSomePercent, row.psiIoFullPercent),
    },
    footprints:
      held?.flatMap(({ plugin, bytes, method }) =>
        isMethod(method) ? [{ plugin, bytes, method, processes: 0 }] : [],
      ) ?? null,
  };
}

const isMethod = (method: string): method is FootprintReading["method"] =>
  method === "cgroup" || method === "pss" || method === "private";

function memoryOf({ memoryUsedBytes, memoryBudgetBytes, ...row }: SampleRow): MemoryReading | null {
  if (memoryUsedBytes === null || memoryBudgetBytes === null) return null;
  return {
    usedBytes: memoryUsedBytes,
    budgetBytes: memoryBudgetBytes,
    usedRatio: memoryUsedBytes / memoryBudgetBytes,
    source: "host",
    cgroup: null,
    swapUsedBytes: row.swapUsedBytes,
    swapTotalBytes: row.swapTotalBytes,
  };
}

const pressureOf = (somePercent: number | null, fullPercent: number | null) =>
  somePercent === null ? null : { somePercent, fullPercent };
