/** The memory cgroups around a process, version 1 and 2, and what each of them uses. */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseCounter, parseNumber } from "./proc-text.ts";

export interface MemoryCgroup {
  version: 1 | 2;
  /** Folder of its control files. */
  folder: string;
}

/** What lies in front of every path: "" for this machine, a folder of fixtures in tests. */
export type Root = string;

interface Mount {
  version: 1 | 2;
  /** Path within the cgroup tree that is mounted: "/" outside of containers. */
  treeRoot: string;
  mountPoint: string;
}

/** The mount of the memory controller: version 1 where it is mounted, else version 2. */
function memoryMount(root: Root): Mount | null {
  let second: Mount | null = null;
  for (const line of readFileSync(`${root}/proc/self/mountinfo`, "utf8").split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const fields = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    const mount = { treeRoot: unescaped(fields[3] ?? "/"), mountPoint: unescaped(fields[4] ?? "") };
    if (type === "cgroup" && options.split(",").includes("memory")) return { version: 1, ...mount };
    if (type === "cgroup2" && second === null) second = { version: 2, ...mount };
  }
  return second;
}

/** mountinfo writes spaces and the like as octal. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Path of this process in the memory controller's tree. */
function ownPath(root: Root, version: 1 | 2): string | null {
  for (const line of readFileSync(`${root}/proc/self/cgroup`, "utf8").split("\n")) {
    const [, controllers = "", ...path] = line.split(":");
    if (version === 1 ? controllers.split(",").includes("memory") : line.startsWith("0::"))
      return path.join(":");
  }
  return null;
}

/** The cgroup of this process and every one around it, the innermost first; empty where there is no memory controller. */
export function enclosingCgroups(root: Root = ""): MemoryCgroup[] {
  const mount = memoryMount(root);
  const path = mount && ownPath(root, mount.version);
  if (!mount || path === null) return [];
  const top = join(root, mount.mountPoint);
  // In a container the path may name cgroups outside of what is mounted: then the mount itself is the innermost seen.
  const within = path.startsWith(mount.treeRoot) ? path.slice(mount.treeRoot.length) : path;
  let folder = join(top, within.replaceAll(/(^|\/)\.\.(?=\/|$)/g, ""));
  if (!existsSync(folder)) folder = top;
  const found: MemoryCgroup[] = [];
  for (; folder.length >= top.length; folder = dirname(folder)) {
    if (existsSync(join(folder, usageFile(mount.version)))) found.push({ version: mount.version, folder });
    if (folder === top) break;
  }
  return found;
}

const usageFile = (version: 1 | 2): string => (version === 1 ? "memory.usage_in_bytes" : "memory.current");
const limitFile = (version: 1 | 2): string => (version === 1 ? "memory.limit_in_bytes" : "memory.max");
const inactiveFile = (version: 1 | 2): string => (version === 1 ? "total_inactive_file" : "inactive_file");

/** Bytes it may use at most; Infinity without a limit, null when the file cannot be understood. Throws when it cannot be read. */
export function limitBytes({ version, folder }: MemoryCgroup): number | null {
  return parseNumber(readFileSync(join(folder, limitFile(version)), "utf8"));
}

/** Bytes in use without the inactive file cache, which the kernel gives back at once. Throws when it cannot be read. */
export function usedBytes({ version, folder }: MemoryCgroup): number | null {
  const usage = parseNumber(readFileSync(join(folder, usageFile(version)), "utf8"));
  const cache = parseCounter(readFileSync(join(folder, "memory.stat"), "utf8"), inactiveFile(version));
  return usage === null || cache === null ? null : Math.max(0, usage - cache);
}

/** Processes of it and of those below that the kernel killed for memory (version 1: of it alone); null when unknown. */
export function oomKills({ version, folder }: MemoryCgroup): number | null {
  const file = version === 1 ? "memory.oom_control" : "memory.events";
  return parseCounter(readFileSync(join(folder, file), "utf8"), "oom_kill");
}
