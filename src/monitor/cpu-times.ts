/** /proc/stat: how busy the processors were between two readings. */

/**
 * Ticks since boot, summed over all processors. `busy` is all but idle and iowait: a processor that waits for a disk is
 * free for other work. Steal counts as busy: the hypervisor gave that time to others, so nobody here could have it.
 */
export interface CpuTimes {
  busy: number;
  total: number;
}

/** user nice system idle iowait irq softirq steal; guest time, which follows, is part of user and nice already. */
const countedFields = 8;
const idleField = 3;
const iowaitField = 4;

/** The first line of /proc/stat. Null when it is not that line, or is cut off. */
export function parseCpuTimes(text: string): CpuTimes | null {
  const line = /^cpu +(\d[\d ]*)\n/.exec(text)?.[1];
  const fields = line?.trim().split(/ +/).map(Number).slice(0, countedFields);
  if (!fields || fields.length <= idleField) return null;
  const total = fields.reduce((sum, field) => sum + field, 0);
  return { busy: total - (fields[idleField] ?? 0) - (fields[iowaitField] ?? 0), total };
}

/**
 * Percent (0..100) of all processors that were busy between two readings. Null when no tick passed between them, or
 * when the counters went back, as after a restored snapshot. (The kernel lets idle and iowait alone step back a little:
 * that is bounded here.)
 */
export function cpuPercent(before: CpuTimes, after: CpuTimes): number | null {
  const total = after.total - before.total;
  const busy = after.busy - before.busy;
  return total > 0 && busy >= 0 ? Math.min(100, (100 * busy) / total) : null;
}
