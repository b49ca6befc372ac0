/** Which control files hold a limit, and what is written to them. */

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface CgroupSetting {
  file: string;
  text: string;
  /** A kernel without this file still holds the limit, only less well. */
  optional: boolean;
}

const needed = (file: string, text: string | number): CgroupSetting => ({
  file,
  text: String(text),
  optional: false,
});
const wished = (file: string, text: string | number): CgroupSetting => ({
  ...needed(file, text),
  optional: true,
});

/** The bytes between `memory.high` and `memory.max`: 3 %, where reclaim begins before the kill. */
const highShare = 0.97;

/**
 * Holds memory to `bytes`, swap included. What a plugin has in swap takes no memory, so without this one over its limit
 * would not end but push the host into swap, slow everyone down, and look smaller than what a restore has to bring back.
 */
export function memorySettings(version: 1 | 2, bytes: number): CgroupSetting[] {
  // Version 1 counts memory with swap, which may not be below memory alone: the order matters.
  if (version === 1)
    return [needed("memory.limit_in_bytes", bytes), wished("memory.memsw.limit_in_bytes", bytes)];
  return [
    needed("memory.high", Math.floor(bytes * highShare)),
    needed("memory.max", bytes),
    wished("memory.swap.max", 0),
    wished("memory.oom.group", 1),
  ];
}

const usualPeriodUs = 100_000;
const longestPeriodUs = 1_000_000;
/** The kernel refuses a shorter quota. */
const leastQuotaUs = 1_000;
/** What the longest period and the shortest quota come to. */
export const leastCores = leastQuotaUs / longestPeriodUs;

/** Holds computing to `cores` of the processors' time, measured over a tenth of a second; `leastCores` is the least. */
export function cpuSettings(version: 1 | 2, cores: number): CgroupSetting[] {
  const periodUs = cores * usualPeriodUs < leastQuotaUs ? longestPeriodUs : usualPeriodUs;
  const quotaUs = Math.max(leastQuotaUs, Math.round(cores * periodUs));
  if (version === 2) return [needed("cpu.max", `${quotaUs} ${periodUs}`)];
  return [needed("cpu.cfs_period_us", periodUs), needed("cpu.cfs_quota_us", quotaUs)];
}

/** Takes the quota away again. */
export const cpuUnlimited = (version: 1 | 2): CgroupSetting[] => [
  version === 2 ? needed("cpu.max", "max") : needed("cpu.cfs_quota_us", -1),
];

/** Holds processes and threads together to `count`: the next fork fails with EAGAIN. The same file in both versions. */
export const processSettings = (count: number): CgroupSetting[] => [needed("pids.max", count)];

/** Writes them in order; throws what the system says. */
export function writeSettings(folder: string, settings: readonly CgroupSetting[]): void {
  for (const { file, text, optional } of settings) {
    const path = join(folder, file);
    if (!optional || existsSync(path)) writeFileSync(path, text);
  }
}
