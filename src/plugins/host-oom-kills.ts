/** How often the kernel of this machine killed for want of memory. */

import { readFileSync } from "node:fs";

/** `oom_kill` of /proc/vmstat; null where there is none (before Linux 4.13, other systems). */
export function readHostOomKills(): number | null {
  try {
    const count = /^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1];
    return count === undefined ? null : Number(count);
  } catch {
    return null; // No /proc.
  }
}
