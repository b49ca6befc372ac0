/** What the kernel's own files say of a process. */

import { readFileSync } from "node:fs";

/** The text, or `otherwise` with the error's code. */
export const readOr = (path: string, otherwise: string): string => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    return `${otherwise} (${(error as NodeJS.ErrnoException).code})`;
  }
};

/** The folder of a process's cgroup in version 2. */
export const cgroupOf = (pid: number | "self"): string =>
  `/sys/fs/cgroup${/^0::(.*)$/m.exec(readOr(`/proc/${pid}/cgroup`, ""))?.[1] ?? ""}`;

/** A field of its status, such as "Uid": the first word. */
export const statusField = (pid: number, name: string): string | undefined =>
  new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(readOr(`/proc/${pid}/status`, ""))?.[1];
