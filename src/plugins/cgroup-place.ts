/** Where in the cgroup tree this process is: pure reading of /proc/self/cgroup and /proc/self/mountinfo. */

import { join } from "node:path";

/** What of the kernel's controllers holds a plugin to its limits: limits.memory, limits.cpu, limits.processes. */
export type Controller = "memory" | "cpu" | "pids";

/** The folder of the process's own cgroup of one controller, and which interface its files follow. */
export interface CgroupPlace {
  version: 1 | 2;
  folder: string;
}

/** Version 1 mounts each controller as a tree of its own, in version 2 they share one. Null: there is none. */
export type CgroupPlaces = Readonly<Record<Controller, CgroupPlace | null>>;

interface Mount {
  root: string;
  point: string;
  type: string;
  options: string[];
}

/** mountinfo writes space, tab, newline and backslash as octal. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split("\n").flatMap((line): Mount[] => {
    const [left, right] = line.split(" - ");
    const before = left?.split(" ") ?? [];
    const after = right?.split(" ") ?? [];
    const [root, point] = [before[3], before[4]];
    const [type, , superOptions] = after;
    if (!root || !point || !type?.startsWith("cgroup")) return [];
    return [
      { root: unescaped(root), point: unescaped(point), type, options: (superOptions ?? "").split(",") },
    ];
  });
}

/** `path` of the hierarchy as a folder under `mount`; null when the mount does not show it. */
function folderOf(path: string, { root, point }: Mount): string | null {
  if (root === "/") return folderAt(point, path);
  if (path === root || path.startsWith(`${root}/`)) return folderAt(point, path.slice(root.length));
  // In a container with its own cgroup namespace the path is relative to the root of the namespace.
  return path.startsWith("/..") ? null : folderAt(point, path);
}

/** Without a slash at the end, which the root of a tree would leave. */
const folderAt = (point: string, path: string): string => join(point, path).replace(/(?<=.)\/$/, "");

/** The own cgroup of `controller`: version 1 where it is mounted so, else version 2; null when there is neither. */
export function findCgroupPlace(
  controller: Controller,
  selfCgroup: string,
  mountinfo: string,
): CgroupPlace | null {
  const mounts = parseMounts(mountinfo);
  const lines = selfCgroup.split("\n").map((line) => {
    const [, controllers = "", ...path] = line.split(":");
    return { controllers: controllers.split(","), path: path.join(":") };
  });
  const v1Mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes(controller));
  const v1Line = lines.find(({ controllers }) => controllers.includes(controller));
  if (v1Mount && v1Line) {
    const folder = folderOf(v1Line.path, v1Mount);
    return folder === null ? null : { version: 1, folder };
  }
  const v2Mount = mounts.find(({ type }) => type === "cgroup2");
  const v2Line = lines.find(({ controllers, path }) => controllers.join() === "" && path !== "");
  if (!v2Mount || !v2Line) return null;
  const folder = folderOf(v2Line.path, v2Mount);
  return folder === null ? null : { version: 2, folder };
}

/** The own cgroup of each controller. */
export const findCgroupPlaces = (selfCgroup: string, mountinfo: string): CgroupPlaces => ({
  memory: findCgroupPlace("memory", selfCgroup, mountinfo),
  cpu: findCgroupPlace("cpu", selfCgroup, mountinfo),
  pids: findCgroupPlace("pids", selfCgroup, mountinfo),
});

export const noCgroupPlaces: CgroupPlaces = { memory: null, cpu: null, pids: null };
