/** Which processes belong together: descendants, and whoever shares a session or a process group. */

import { readdirSync, readFileSync } from "node:fs";
import type { Root } from "./cgroups.ts";

interface ProcessStat {
  pid: number;
  parent: number;
  group: number;
  session: number;
}

/** A line of /proc/PID/stat; the name in parentheses may hold anything, parentheses too. Null for a zombie. */
export function parseProcessStat(text: string): ProcessStat | null {
  const close = text.lastIndexOf(")");
  const pid = Number.parseInt(text, 10);
  const [state, parent, group, session] = text.slice(close + 2).split(" ", 4);
  if (close < 0 || !Number.isInteger(pid) || state === "Z" || state === "X") return null;
  return { pid, parent: Number(parent), group: Number(group), session: Number(session) };
}

function scan(root: Root): ProcessStat[] {
  const found: ProcessStat[] = [];
  for (const name of readdirSync(`${root}/proc`)) {
    const first = name.charCodeAt(0);
    if (first < 48 || first > 57) continue;
    try {
      const stat = parseProcessStat(readFileSync(`${root}/proc/${name}/stat`, "utf8"));
      if (stat) found.push(stat);
    } catch (error) {
      // It ended between the listing and the reading.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ENOENT" && code !== "ESRCH") throw error;
    }
  }
  return found;
}

/**
 * The processes of each tree, by one scan of /proc: the roots that run, their descendants, and those of the same
 * session or group as a root that leads it (so that a grandchild whose parent ended still counts).
 */
export function processTrees(roots: readonly (readonly number[])[], root: Root = ""): number[][] {
  const all = scan(root);
  const children = Map.groupBy(all, ({ parent }) => parent);
  return roots.map((pids) => {
    const members = new Set<number>();
    const waiting = all.filter(
      ({ pid, group, session }) => pids.includes(pid) || pids.includes(group) || pids.includes(session),
    );
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      if (members.has(next.pid)) continue;
      members.add(next.pid);
      waiting.push(...(children.get(next.pid) ?? []));
    }
    return [...members];
  });
}
