/** One look at the host. Null is a gap: that part could not be read, which is not zero. */

import type { MemoryReading } from "./budget.ts";
import type { DiskReading } from "./disk.ts";
import type { FootprintReading } from "./footprint.ts";
import type { Load } from "./load-average.ts";
import type { Pressure } from "./pressure.ts";

export interface Sample {
  /** Milliseconds since the epoch. */
  atMs: number;
  /** Of all processors (0..100), since the sample before; null in the first one. */
  cpuPercent: number | null;
  memory: MemoryReading | null;
  disk: DiskReading | null;
  load: Load | null;
  pressure: { memory: Pressure | null; cpu: Pressure | null; io: Pressure | null };
  /** Of the plugins that run; one that could not be read is left out. */
  footprints: readonly FootprintReading[] | null;
}

/** The numbers of a sample that have a trend, by name. */
export const metricNames = [
  "memoryUsedPercent",
  "memoryUsedBytes",
  "cpuPercent",
  "swapUsedBytes",
  "diskUsedPercent",
  "diskFreeBytes",
  "load1",
  "memoryPressurePercent",
  "cpuPressurePercent",
  "ioPressurePercent",
] as const;

export type MetricName = (typeof metricNames)[number];

const readers: Record<MetricName, (sample: Sample) => number | null> = {
  memoryUsedPercent: ({ memory }) => memory && memory.usedRatio * 100,
  memoryUsedBytes: ({ memory }) => memory?.usedBytes ?? null,
  cpuPercent: ({ cpuPercent }) => cpuPercent,
  swapUsedBytes: ({ memory }) => memory?.swapUsedBytes ?? null,
  diskUsedPercent: ({ disk }) => disk?.usedPercent ?? null,
  diskFreeBytes: ({ disk }) => disk?.freeBytes ?? null,
  load1: ({ load }) => load?.load1 ?? null,
  memoryPressurePercent: ({ pressure }) => pressure.memory?.somePercent ?? null,
  cpuPressurePercent: ({ pressure }) => pressure.cpu?.somePercent ?? null,
  ioPressurePercent: ({ pressure }) => pressure.io?.somePercent ?? null,
};

/** The number called `name` in a sample; null for a gap. */
export const metricOf = (sample: Sample, name: MetricName): number | null => readers[name](sample);
