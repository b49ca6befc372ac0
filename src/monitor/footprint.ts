/** What each plugin holds: bytes of its cgroup, or of its whole process tree. */

import { readFileSync } from "node:fs";
import { type MemoryCgroup, type Root, usedBytes } from "./cgroups.ts";
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
  /** cgroup: its bytes less inactive file cache. pss: proportional share, summed. private: resident less shared, summed. */
  method: "cgroup" | "pss" | "private";
}

const pageBytes = 4096;

/** The footprint of its cgroup; null when it has none that can be read. Costs some microseconds. */
export function cgroupFootprint({ plugin, cgroup }: FootprintTarget): FootprintReading | null {
  if (!cgroup) return null;
  try {
    const bytes = usedBytes(cgroup);
    return bytes === null ? null : { plugin, bytes, method: "cgroup" };
  } catch (error) {
    if (isGone(error)) return null;
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

/** The tree's PSS, or where that may not be read its private memory; null when no process of it is left. */
function treeFootprint(plugin: string, pids: readonly number[], root: Root): FootprintReading | null {
  const shares = pids.map((pid) => pssBytes(pid, root));
  if (shares.every((share) => share === null)) return privateFootprint(plugin, pids, root);
  return { plugin, bytes: shares.reduce((sum: number, share) => sum + (share ?? 0), 0), method: "pss" };
}

function privateFootprint(plugin: string, pids: readonly number[], root: Root): FootprintReading | null {
  const sizes = pids.map((pid) => privateBytes(pid, root)).filter((size) => size !== null);
  if (sizes.length === 0) return null;
  return { plugin, bytes: sizes.reduce((sum, size) => sum + size, 0), method: "private" };
}

/** Proportional set size of a process; null when it is gone or belongs to somebody else. */
export function pssBytes(pid: number | "self", root: Root = ""): number | null {
  const text = readIfThere(`${root}/proc/${pid}/smaps_rollup`);
  const kib = text && /^Pss: +(\d+) kB$/m.exec(text)?.[1];
  return kib ? Number(kib) * 1024 : null;
}

/** Resident less shared bytes of a process, from statm; null when it is gone. */
function privateBytes(pid: number, root: Root): number | null {
  const text = readIfThere(`${root}/proc/${pid}/statm`);
  const [, resident, shared] = text?.split(" ").map(Number) ?? [];
  if (resident === undefined || shared === undefined) return null;
  return Math.max(0, resident - shared) * pageBytes;
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

const isGone = (error: unknown): boolean =>
  ["ENOENT", "ESRCH", "ENODEV", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "");
