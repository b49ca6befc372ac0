/** Whom the kernel kills first when memory runs out: /proc/PID/oom_score_adj. */

import { readFileSync, writeFileSync } from "node:fs";

const highest = 1_000;
const lowest = 100;

/**
 * The score of the plugin at `index` of `count` in the degradation order (the first is shed first). 1000 for the first,
 * then in equal steps down to 100 for the last; above 0, so that any plugin goes before the conductor. Each plugin
 * must differ from its neighbours by more than its size can make up for: 1000 is all memory.
 */
export function oomScoreAdj(index: number, count: number): number {
  if (count <= 1) return lowest;
  const place = Math.min(Math.max(0, index), count - 1);
  return Math.round(highest - ((highest - lowest) * place) / (count - 1));
}

/** Conductor's own, as systemd's OOMScoreAdjust would have it: after every plugin and nearly everything else. */
const ownScore = -900;

/** The score of this process; null where the system has none. */
export function ownOomScoreAdj(): number | null {
  try {
    return Number.parseInt(readFileSync("/proc/self/oom_score_adj", "utf8"), 10);
  } catch {
    return null; // No /proc, or no such file in it.
  }
}

/**
 * Has the kernel kill this process late, where that is allowed (CAP_SYS_RESOURCE); yields the score that took effect, null
 * where there is none. What it starts inherits the score: plugins are given their own, the guard keeps it.
 */
export function protectOwnProcess(): number | null {
  const score = ownOomScoreAdj();
  if (score === null || score <= ownScore) return score;
  setOomScoreAdj(process.pid, ownScore);
  return ownOomScoreAdj();
}

/** Sets the score of a running process; false where that is not allowed or there is no such file. */
export function setOomScoreAdj(pid: number, score: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
    return true;
  } catch {
    return false; // No /proc, a process already gone, or a score below its own without CAP_SYS_RESOURCE.
  }
}
