/** Whom the kernel kills first when memory runs out: /proc/PID/oom_score_adj. */

import { writeFileSync } from "node:fs";

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

/** Sets the score of a running process; false where that is not allowed or there is no such file. */
export function setOomScoreAdj(pid: number, score: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
    return true;
  } catch {
    return false; // No /proc, a process already gone, or a score below its own without CAP_SYS_RESOURCE.
  }
}
