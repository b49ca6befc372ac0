/**
 * The memory cgroups around a process, version 1 and 2.
 *
 *   /proc/self/cgroup     its path in the tree         "4:memory:/a/b"  or  "0::/a/b"
 *   /proc/self/mountinfo  which part of the tree is mounted, and where
 *
 * In a container the mount shows a part of the tree only, and with a cgroup namespace the path is relative to it: what
 * lies outside cannot be seen, and its limits cannot either.
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface MemoryCgroup {
  version: 1 | 2;
  /** Folder of its control files. */
  folder: string;
}

/** What lies in front of every path: "" for this machine, a folder of fixtures in tests. */
export type Root = string;

export interface CgroupMount {
  version: 1 | 2;
  /** Path within the cgroup tree that is mounted: "/" outside of containers. */
  treeRoot: string;
  mountPoint: string;
}

/** mountinfo writes space, tab, newline and backslash as octal. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

function parseMount(line: string): CgroupMount | null {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , treeRoot, mountPoint] = before.split(" ");
  const [type, , options = ""] = after.split(" ");
  const holdsMemory = type === "cgroup" && options.split(",").includes("memory");
  if (!treeRoot || !mountPoint || (!holdsMemory && type !== "cgroup2")) return null;
  return {
    version: holdsMemory ? 1 : 2,
    treeRoot: unescaped(treeRoot),
    mountPoint: unescaped(mountPoint),
  };
}

/**
 * Where the memory controller is mounted, from the text of mountinfo: version 1 before 2 (a hybrid host mounts an empty
 * version 2 beside it), the whole tree before a part of it. Null without either.
 */
export function findMemoryMount(mountinfo: string): CgroupMount | null {
  const mounts = mountinfo.split("\n").flatMap((line) => parseMount(line) ?? []);
  const first = mounts.filter(({ version }) => version === 1);
  const candidates = first.length > 0 ? first : mounts;
  return candidates.find(({ treeRoot }) => treeRoot === "/") ?? candidates[0] ?? null;
}

/** The path of the process in the memory controller's tree, from the text of /proc/self/cgroup. */
export function findOwnPath(selfCgroup: string, version: 1 | 2): string | null {
  for (const line of selfCgroup.split("\n")) {
    const [, controllers = "", ...path] = line.split(":");
    if (version === 1 ? controllers.split(",").includes("memory") : line.startsWith("0::"))
      return path.join(":").replace(/ \(deleted\)$/, "");
  }
  return null;
}

/** `path` as it is seen below the mount; "/" is the mount itself, which is also the answer for what lies outside of it. */
export function pathBelowMount(path: string, treeRoot: string): string {
  if (path.split("/").includes("..")) return "/";
  if (treeRoot === "/") return path;
  if (path === treeRoot) return "/";
  return path.startsWith(`${treeRoot}/`) ? path.slice(treeRoot.length) : path;
}

/** The cgroup of this process and every one around it, the innermost first; empty where there is no memory controller. */
export function enclosingCgroups(root: Root = ""): MemoryCgroup[] {
  const mount = findMemoryMount(readFileSync(`${root}/proc/self/mountinfo`, "utf8"));
  const path = mount && findOwnPath(readFileSync(`${root}/proc/self/cgroup`, "utf8"), mount.version);
  if (!mount || path === null) return [];
  const top = join(root, mount.mountPoint);
  const own = join(top, pathBelowMount(path, mount.treeRoot)).replace(/\/$/, "");
  const found: MemoryCgroup[] = [];
  // Version 2 has no usage file at the root of the tree, nor where the controller is not enabled.
  for (let folder = own; ; folder = dirname(folder)) {
    if (existsSync(join(folder, usageFile(mount.version)))) found.push({ version: mount.version, folder });
    if (folder.length <= top.length) return found;
  }
}

export const usageFile = (version: 1 | 2): string =>
  version === 1 ? "memory.usage_in_bytes" : "memory.current";
