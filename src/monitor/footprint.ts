/** What each plugin holds: bytes of its cgroup, or of its whole process tree. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { usedBytes } from "./cgroup-memory.ts";
import type { MemoryCgroup, Root } from "./cgroups.ts";
import { isGoneOrForbidden, privateBytes, pssBytes } from "./process-memory.ts";
import { processTrees } from "./process-tree.ts";

/** A plugin to measure, with all its instances. */
export interface FootprintTarget {
  plugin: string;
  /** The processes that its trees start from: of every instance. */
  rootPids: readonly number[];
  /** Memory cgroups that hold instances of it and nothing else. */
  cgroups: readonly MemoryCgroup[];
  /** Those of `rootPids` that are in none of `cgroups`. */
  rootPidsOutside: readonly number[];
}

export interface FootprintReading {
  plugin: string;
  bytes: number;
  /**
   * cgroup: their bytes less inactive file cache. pss: proportional share, summed, for at least one instance without a
   * cgroup. private: resident less shared, summed, for at least one process whose share may not be read.
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
 * The footprint of its cgroups; null when they do not hold all of it, one cannot be read, or no process is in it: what
 * is left in an empty one is cache, and the processes, if any, are elsewhere. Costs some microseconds.
 */
export function cgroupFootprint(target: FootprintTarget): FootprintReading | null {
  return target.rootPidsOutside.length > 0 ? null : insideCgroups(target);
}

function insideCgroups({ plugin, cgroups }: FootprintTarget): FootprintReading | null {
  const sum: FootprintReading = { plugin, bytes: 0, method: "cgroup", processes: 0 };
  for (const cgroup of cgroups) {
    const one = oneCgroup(cgroup);
    if (!one) return null;
    sum.bytes += one.bytes;
    sum.processes += one.processes;
  }
  return sum.processes === 0 ? null : sum;
}

function oneCgroup(cgroup: MemoryCgroup): { bytes: number; processes: number } | null {
  try {
    const bytes = usedBytes(cgroup);
    const processes = processesIn(cgroup.folder);
    return bytes === null || processes === 0 ? null : { bytes, processes };
  } catch (error) {
    if (isGoneOrForbidden(error)) return null;
    throw error;
  }
}

/**
 * The footprint of every target; one that cannot be read is left out. One scan of /proc for all that no cgroup holds:
 * instances without one, and every instance of a plugin where one of its cgroups cannot be read.
 */
export function footprints(targets: readonly FootprintTarget[], root: Root = ""): FootprintReading[] {
  const found: FootprintReading[] = [];
  const rest: { plugin: string; inside: FootprintReading | null; pids: readonly number[] }[] = [];
  for (const target of targets) {
    const { plugin, rootPids, rootPidsOutside } = target;
    const inside = insideCgroups(target);
    if (inside && rootPidsOutside.length === 0) found.push(inside);
    else if (rootPids.length > 0) rest.push({ plugin, inside, pids: inside ? rootPidsOutside : rootPids });
  }
  if (rest.length === 0) return found;
  const trees = processTrees(
    rest.map(({ pids }) => pids),
    root,
  );
  rest.forEach(({ plugin, inside }, index) => {
    const outside = treeFootprint(plugin, trees[index] ?? [], root);
    const reading = inside && outside ? added(inside, outside) : (inside ?? outside);
    if (reading) found.push(reading);
  });
  return found;
}

/** Both together, named for the less exact of the two. */
const added = (inside: FootprintReading, outside: FootprintReading): FootprintReading => ({
  ...outside,
  bytes: inside.bytes + outside.bytes,
  processes: inside.processes + outside.processes,
});

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
