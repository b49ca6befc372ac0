/**
 * Conductor's turn at the processors. What fills memory usually keeps them busy too, and whoever is to stop it must not wait
 * in line behind it: on two processors with three plugins that grew, conductor was once not heard of for 10 s.
 */

import { readdirSync, writeFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import { join } from "node:path";

/** Some ten times the share of a program of niceness 0. */
const ownNiceness = -10;
/** The same for a cgroup of version 2, among which niceness does not count; 100 is what the others have. */
const ownWeight = 1_000;

/**
 * Sets every thread of this process before others, where that is allowed (CAP_SYS_NICE) and nobody chose another niceness;
 * yields the niceness that took effect. What it starts inherits it: a launcher takes it away again, the guard keeps it.
 */
export function goFirst(): number {
  if (process.platform !== "linux" || getPriority() !== 0) return getPriority();
  // Linux keeps it for each thread; those to come take over that of the one which starts them.
  const set = readdirSync("/proc/self/task").filter((thread) => setNiceness(Number(thread)));
  return set.length > 0 ? ownNiceness : getPriority();
}

function setNiceness(thread: number): boolean {
  try {
    setPriority(thread, ownNiceness);
    return true;
  } catch {
    return false; // Not allowed, or it has just ended.
  }
}

/** Gives the processes in the cgroup `folder` more of the processors than its siblings have, where it can. */
export function goFirstIn(folder: string): void {
  try {
    writeFileSync(join(folder, "cpu.weight"), String(ownWeight));
  } catch {
    return; // Without the cpu controller there is no such file, and niceness counts.
  }
}
