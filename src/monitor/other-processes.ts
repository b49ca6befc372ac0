/** Who else holds memory on this host: what conductor has not started. */

import { readFileSync } from "node:fs";
import type { Root } from "./cgroups.ts";
import { isGoneOrForbidden, privateBytes } from "./process-memory.ts";
import { processTable, treesAmong } from "./process-tree.ts";

export interface OtherProcess {
  /** As the kernel knows the program: at most 15 characters. */
  name: string;
  /** Private bytes, of all processes of that name. */
  bytes: number;
}

/** The first process of the host is nobody's to close. */
const init = 1;

/**
 * Programs outside the trees of `own` that hold at least `leastBytes`, the largest first. What another user's processes hold is
 * told too; what the kernel hides from this user is not there. One scan of /proc: a millisecond for a hundred processes.
 * Throws when /proc cannot be listed.
 */
export function otherProcesses(own: readonly number[], leastBytes: number, root: Root = ""): OtherProcess[] {
  const all = processTable(root);
  const ours = new Set(treesAmong(all, [own])[0]);
  const bytesByName = new Map<string, number>();
  for (const { pid } of all) {
    if (pid === init || ours.has(pid)) continue;
    const bytes = privateBytes(pid, root) ?? 0;
    const name = bytes > 0 ? programName(pid, root) : null;
    if (name !== null) bytesByName.set(name, (bytesByName.get(name) ?? 0) + bytes);
  }
  return [...bytesByName]
    .map(([name, bytes]) => ({ name, bytes }))
    .filter(({ bytes }) => bytes >= leastBytes)
    .sort((one, other) => other.bytes - one.bytes);
}

function programName(pid: number, root: Root): string | null {
  try {
    return readFileSync(`${root}/proc/${pid}/comm`, "utf8").trimEnd();
  } catch (error) {
    if (isGoneOrForbidden(error)) return null;
    throw error;
  }
}
