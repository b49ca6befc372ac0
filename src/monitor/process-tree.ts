/** Which processes belong together: descendants, and whoever shares a session or a process group. */

import { readdirSync, readFileSync } from "node:fs";
import type { Root } from "./cgroups.ts";
import { isGoneOrForbidden } from "./process-memory.ts";

export interface ProcessStat {
  pid: number;
  parent: number;
  group: number;
  session: number;
}

/** A line of /proc/PID/stat; the name in parentheses may hold anything, parentheses too. Null for a zombie and for garbage. */
export function parseProcessStat(text: string): ProcessStat | null {
  const close = text.lastIndexOf(")");
  const pid = Number.parseInt(text, 10);
  const [state, ...ids] = text.slice(close + 2).split(" ", 4);
  const [parent, group, session] = ids.map(Number);
  if (close < 0 || !Number.isInteger(pid) || state === "Z" || state === "X") return null;
  if (parent === undefined || group === undefined || session === undefined) return null;
  return [parent, group, session].every(Number.isInteger) ? { pid, parent, group, session } : null;
}

/** Every process that runs. Throws when /proc cannot be listed. */
export function processTable(root: Root = ""): ProcessStat[] {
  const found: ProcessStat[] = [];
  for (const name of readdirSync(`${root}/proc`)) {
    const first = name.charCodeAt(0);
    if (first < 48 || first > 57) continue;
    try {
      const stat = parseProcessStat(readFileSync(`${root}/proc/${name}/stat`, "utf8"));
      if (stat) found.push(stat);
    } catch (error) {
      // It ended between the listing and the reading, or is hidden from this user (hidepid) and so none of ours.
      const code = (error as NodeJS.ErrnoException).code ?? "";
      if (!["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(code)) throw error;
    }
  }
  return found;
}

/**
 * The processes of each tree, by one scan of /proc: the roots that run, their descendants, and those of the session or
 * group that a root leads (so that a grandchild whose parent ended still counts, as long as it made no session of its
 * own: one that did both is out of sight here, and only its cgroup still tells). `roots` holds the pids of each tree.
 * Throws when /proc cannot be listed.
 */
export function processTrees(roots: readonly (readonly number[])[], root: Root = ""): number[][] {
  return treesAmong(processTable(root), roots);
}

/** `processTrees` of a process table that was read already. */
export function treesAmong(all: readonly ProcessStat[], roots: readonly (readonly number[])[]): number[][] {
  const children = Map.groupBy(all, ({ parent }) => parent);
  return roots.map((pids) => {
    const leaders = new Set(pids);
    const members = new Set<number>();
    const waiting = all.filter(
      ({ pid, group, session }) => leaders.has(pid) || leaders.has(group) || leaders.has(session),
    );
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      if (members.has(next.pid)) continue;
      members.add(next.pid);
      waiting.push(...(children.get(next.pid) ?? []));
    }
    return [...members];
  });
}

/**
 * What the first thread of a process has started and not waited for; empty where the kernel does not tell, or the process
 * is gone. Costs some microseconds; a child of another thread is found only by `processTrees`.
 */
export function childPids(pid: number, root: Root = ""): number[] {
  try {
    const text = readFileSync(`${root}/proc/${pid}/task/${pid}/children`, "latin1");
    return text.split(" ").filter(Boolean).map(Number);
  } catch (error) {
    if (isGoneOrForbidden(error)) return [];
    throw error;
  }
}
