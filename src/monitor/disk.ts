/** How full a file system is. */

import { type StatsFs, statfsSync } from "node:fs";

export interface DiskReading {
  /** As df: what is used, of what a user could use (0..100). */
  usedPercent: number;
  /** Without what is kept for root. */
  freeBytes: number;
  totalBytes: number;
}

/** The file system that holds `path`. Null for one without blocks, as /proc. Throws when it cannot be asked. */
export function readDisk(path: string): DiskReading | null {
  return diskReading(statfsSync(path));
}

/** From the answer of statfs; null when it tells of no blocks. */
export function diskReading(
  stats: Pick<StatsFs, "bsize" | "blocks" | "bfree" | "bavail">,
): DiskReading | null {
  const { bsize, blocks, bfree, bavail } = stats;
  const used = blocks - bfree;
  if (used + bavail <= 0) return null;
  return {
    usedPercent: (100 * used) / (used + bavail),
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
  };
}
