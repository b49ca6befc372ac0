/** What each plugin holds: bytes of its cgroup, or of its whole process tree. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { usedBytes } from "./cgroup-memory.ts";
import type { MemoryCgroup, Root } from "./cgroups.ts";
import { isGoneOrForbidden, privateBytes, pssBytes } from "./process-memory.ts";
import { processTrees } from "./process-tree.ts";

/** A plugin to measure. */
export interface FootprintTarget {
  plugin: string;
  /** The processes that its tree starts from. */
  rootPids: readonly number[];
  /** The memory cgroup that holds it and nothing else; null when it has none. */
  cgroup: MemoryCgroup | null;
}

export interface FootprintReading {
  plugin: string;
  bytes: number;
  /**
   * cgroup: its bytes less inactive file cache. pss: proportional share, summed. private: resident less shared, summed,
   * for at least one process whose share may not be read.
   */
  method: "cgroup" | "pss" | "private";
  /** Processes measured. */
  processes: number;
}

/** Cgroups below a plugin's own are looked into this deep: a plugin may sort its processes into some. */
const deepest = 4;
const newline = 10;

/** Processes in a cgroup and in those below it. Throws when it cannot be read. */
function processesIn(folder: string, depth = 0): number {
  let count = 0;
  for (const byte of readFileSync(join(folder, "cgroup.procs"))) if (byte === newline) count++;
  // A cgroup's folder has two links, and one more for each folder in it: that is cheaper to ask than its list of files.
  if (depth === deepest || statSync(folder).nlink === 2) return count;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) count += processesIn(join(folder, entry.name), depth + 1);
  return count;
}

/**
 * The footprint of its cgroup; null when it has none that can be read, or no process is in it: what is left in an empty
 * one is cache, and the processes, if any, are elsewhere. Costs some microseconds.
 */
export function cgroupFootprint({ plugin, cgroup }: FootprintTarget): FootprintReading | null {
  if (!cgroup) return null;
  try {
    const bytes = usedBytes(cgroup);
    const processes = processesIn(cgroup.folder);
    return bytes === null || processes === 0 ? null : { plugin, bytes, method: "cgroup", processes };
  } catch (error) {
    if (isGoneOrForbidden(error)) return null;
    throw error;
  }
}

/** The footprint of every target; one that cannot be read is left out. One scan of /proc for all without a cgroup. */
export function footprints(targets: readonly FootprintTarget[], root: Root = ""): FootprintReading[] {
  const found: FootprintReading[] = [];
  const rest: FootprintTarget[] = [];
  for (const target of targets) {
    const reading = cgroupFootprint(target);
    if (reading) found.push(reading);
    else if (target.rootPids.length > 0) rest.push(target);
  }
  if (rest.length === 0) return found;
  const trees = processTrees(
    rest.map(({ rootPids }) => rootPids),
    root,
  );
  rest.forEach(({ plugin }, index) => {
    const reading = treeFootprint(plugin, trees[index] ?? [], root);
    if (reading) found.push(reading);
  });
  return found;
}

/** The tree's PSS; a process whose PSS may not be read counts with its private memory. Null when none is left. */
function treeFootprint(plugin: string, pids: readonly number[], root: Root): FootprintReading | null {
  let bytes = 0;
  let processes = 0;
  let method: FootprintReading["method"] = "pss";
  for (const pid of pids) {
    const share = pssBytes(pid, root);
    const held = share ?? privateBytes(pid, root);
    if (held === null) continue;
    if (share === null) method = "private";
    bytes += held;
    processes++;
  }
  return processes === 0 ? null : { plugin, bytes, method, processes };
}
