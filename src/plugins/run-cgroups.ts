/** Removing the cgroups of a run: by the conductor at its end, or by its guard. */

import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeCgroup } from "./plugin-cgroup.ts";

/** Moves `ownPids` out of the run's leaf and removes every cgroup of the run; true when all are gone. */
export function releaseRunCgroups(version: 1 | 2, runFolder: string, ownPids: readonly number[]): boolean {
  const attempt = (run: () => void): void => {
    try {
      run();
    } catch {
      return; // Each step helps the next one, and the removal at the end tells whether they did.
    }
  };
  const own = join(runFolder, "..");
  // A leaf of ours means that nothing else was in our cgroup: what was enabled there, was enabled by us.
  if (version === 2 && ownPids.length > 0 && existsSync(join(runFolder, "self"))) {
    attempt(() => writeFileSync(join(runFolder, "cgroup.subtree_control"), "-memory"));
    attempt(() => writeFileSync(join(own, "cgroup.subtree_control"), "-memory"));
    for (const pid of ownPids) attempt(() => writeFileSync(join(own, "cgroup.procs"), String(pid)));
  }
  attempt(() => {
    for (const entry of readdirSync(runFolder, { withFileTypes: true }))
      if (entry.isDirectory()) removeCgroup(join(runFolder, entry.name));
  });
  return removeCgroup(runFolder);
}
