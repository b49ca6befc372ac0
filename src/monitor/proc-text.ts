/** The texts of /proc and of cgroup files, as numbers. Null: the text does not hold what it should. */

export interface Meminfo {
  totalBytes: number;
  availableBytes: number;
  swapTotalBytes: number;
  swapFreeBytes: number;
}

/** Bytes of one line of /proc/meminfo, which counts in KiB. */
function meminfoField(text: string, name: string): number | null {
  const at = text.startsWith(`${name}:`) ? 0 : text.indexOf(`\n${name}:`) + 1;
  if (at === 0 && !text.startsWith(`${name}:`)) return null;
  const kib = Number.parseInt(text.slice(at + name.length + 1, at + name.length + 32), 10);
  return Number.isFinite(kib) ? kib * 1024 : null;
}

/** /proc/meminfo. MemAvailable is there since Linux 3.14; without it, or without a total, null. */
export function parseMeminfo(text: string): Meminfo | null {
  const totalBytes = meminfoField(text, "MemTotal");
  const availableBytes = meminfoField(text, "MemAvailable");
  if (totalBytes === null || totalBytes <= 0 || availableBytes === null) return null;
  const swapTotalBytes = meminfoField(text, "SwapTotal") ?? 0;
  const swapFreeBytes = meminfoField(text, "SwapFree") ?? 0;
  return { totalBytes, availableBytes: Math.min(availableBytes, totalBytes), swapTotalBytes, swapFreeBytes };
}

/** Ticks since boot: `busy` is all but idle and iowait; time stolen by the hypervisor counts as busy. */
export interface CpuTimes {
  busy: number;
  total: number;
}

/** The first line of /proc/stat. Guest time is part of user time already. */
export function parseCpuTimes(text: string): CpuTimes | null {
  const fields = /^cpu +([\d ]+)/.exec(text)?.[1]?.trim().split(" ").map(Number).slice(0, 8);
  if (!fields || fields.length < 4 || fields.some(Number.isNaN)) return null;
  const total = fields.reduce((sum, field) => sum + field, 0);
  const idle = (fields[3] ?? 0) + (fields[4] ?? 0);
  return { busy: total - idle, total };
}

/** Percent of all processors that were busy between two readings; null when no tick passed or the counter went back. */
export function cpuPercent(before: CpuTimes, after: CpuTimes): number | null {
  const total = after.total - before.total;
  const busy = after.busy - before.busy;
  return total > 0 && busy >= 0 ? Math.min(100, (100 * busy) / total) : null;
}

export interface Load {
  load1: number;
  load5: number;
  load15: number;
}

/** /proc/loadavg. */
export function parseLoad(text: string): Load | null {
  const match = /^(\d+(?:\.\d+)?) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)/.exec(text);
  return match && { load1: Number(match[1]), load5: Number(match[2]), load15: Number(match[3]) };
}

/** Percent of the last 10 s in which some, or all, tasks waited. */
export interface Pressure {
  somePercent: number;
  fullPercent: number | null;
}

/** /proc/pressure/*; older kernels have no "full" line for the processor. */
export function parsePressure(text: string): Pressure | null {
  const some = /^some avg10=(\d+\.\d+)/m.exec(text)?.[1];
  const full = /^full avg10=(\d+\.\d+)/m.exec(text)?.[1];
  return some === undefined
    ? null
    : { somePercent: Number(some), fullPercent: full === undefined ? null : Number(full) };
}

/** One counter of a text of `name number` lines, such as memory.stat; null when it is not there. */
export function parseCounter(text: string, name: string): number | null {
  const match = new RegExp(`^${name} (\\d+)$`, "m").exec(text);
  return match ? Number(match[1]) : null;
}

/** A text that holds one whole number; "max" is Infinity. */
export function parseNumber(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === "max") return Number.POSITIVE_INFINITY;
  return /^\d+$/.test(trimmed) ? Number(trimmed) : null;
}
