/** How many processes the kernel killed for memory. Cumulative: what matters is how a number grew. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { MemoryCgroup, Root } from "./cgroups.ts";
import { lineKey, lineNumber } from "./counters.ts";

const key = lineKey("oom_kill ");

function oomKillsIn(path: string): number | null {
  const text = readFileSync(path);
  return lineNumber(text, text.length, key);
}

/**
 * Processes of the cgroup that were killed, whoever's limit it was for. Version 2 counts those of the cgroups below it
 * too, version 1 does not. (`memory.failcnt` says nothing: it stays 0 through a kill.) Null when the kernel does not
 * tell, as before Linux 4.13. Throws when the file cannot be read.
 */
export function cgroupOomKills({ version, folder }: MemoryCgroup): number | null {
  return oomKillsIn(join(folder, version === 1 ? "memory.oom_control" : "memory.events"));
}

/** Processes of the whole machine, those of every cgroup among them, since it started. Null and throws as above. */
export function hostOomKills(root: Root = ""): number | null {
  return oomKillsIn(`${root}/proc/vmstat`);
}
