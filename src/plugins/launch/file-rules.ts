/**
 * Which paths a sandboxed plugin is granted: everything but what is hidden from it, as Landlock can say it.
 *
 * Landlock only allows, and an allowed folder takes all below it along. So "all but /var/lib/conductor" is said by
 * allowing the siblings on the way there: what lies in /, in /var and in /var/lib. Names may be listed everywhere (the
 * runtime's module loader reads each folder above a module), contents may not. Links are left out: one may lead to a
 * hidden path, and reading through one is judged where it leads to.
 */

import { dirname } from "node:path";
import type { FileRules } from "./spec.ts";

/** More than these and a fixed list of folders is granted instead. */
export const mostGrants = 4_096;

export type Access = "list" | "read" | "write" | "device";

export interface Grant {
  path: string;
  access: Access;
}

/** What is in a folder, links aside; null when it cannot be read. */
export type ListFolder = (folder: string) => { name: string; link: boolean }[] | null;

export interface FilePlan {
  grants: Grant[];
  /** The fixed list was used: what lies elsewhere cannot be read. */
  reduced: boolean;
}

/** Written to by nearly everything, and nobody's data. */
const devices = [
  ...["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts"].map((name) => `/dev/${name}`),
];
const sharedMemory = "/dev/shm";

const systemFolders = [
  ..."bin boot dev etc lib lib32 lib64 libx32 media mnt nix opt proc run sbin srv sys usr"
    .split(" ")
    .map((name) => `/${name}`),
];

const isBelow = (path: string, folder: string): boolean =>
  folder === "/" ? path !== "/" : path.startsWith(`${folder}/`);

class TooMany extends Error {}

function around(folder: string, hidden: readonly string[], list: ListFolder, found: string[]): void {
  for (const { name, link } of list(folder) ?? []) {
    const path = folder === "/" ? `/${name}` : `${folder}/${name}`;
    if (link || hidden.includes(path)) continue;
    if (hidden.some((each) => isBelow(each, path))) around(path, hidden, list, found);
    else found.push(path);
    if (found.length > mostGrants) throw new TooMany();
  }
}

function visible(hidden: readonly string[], list: ListFolder): { paths: string[]; reduced: boolean } {
  if (hidden.length === 0) return { paths: ["/"], reduced: false };
  if (hidden.includes("/")) return { paths: [], reduced: true };
  const paths: string[] = [];
  try {
    around("/", hidden, list, paths);
    return { paths, reduced: false };
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    const safe = systemFolders.filter((path) => !hidden.some((each) => each === path || isBelow(each, path)));
    return { paths: safe, reduced: true };
  }
}

/**
 * The grants for `rules`, at most `mostGrants` and the explicit ones. `program` is what is executed: its folder is
 * readable when the fixed list has to do.
 */
export function planFiles(rules: FileRules, program: string, list: ListFolder): FilePlan {
  const { paths, reduced } = visible(rules.hidden, list);
  const readable = [...paths, ...rules.readable, ...(reduced ? [dirname(program)] : [])];
  return {
    reduced,
    grants: [
      { path: "/", access: "list" },
      ...[...new Set(readable)].map((path): Grant => ({ path, access: "read" })),
      ...[...devices, ...rules.devices].map((path): Grant => ({ path, access: "device" })),
      ...[...rules.writable, sharedMemory].map((path): Grant => ({ path, access: "write" })),
    ],
  };
}
