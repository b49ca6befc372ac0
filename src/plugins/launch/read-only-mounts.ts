/**
 * A view of the file system in which nothing can be changed but what a plugin writes to. Landlock keeps a process from
 * opening files for writing, but not from changing whose they are and what is allowed to whom: one that stays root
 * could open or close any file of root's to everybody. A read-only mount does not let it.
 */

import type { Libc } from "./libc.ts";

const newMounts = 0x00020000;
const flag = { bind: 0x1000, recursive: 0x4000, slave: 0x80000 } as const;
const readOnly = 1n;
const currentFolder = -100;
const recursively = 0x8000;

/** struct mount_attr: what to set, what to clear, propagation, a user namespace. */
const setReadOnly = new BigUint64Array([readOnly, 0n, 0n, 0n]);
const clearReadOnly = new BigUint64Array([0n, readOnly, 0n, 0n]);

/**
 * Gives this process mounts of its own, all read-only but `writable` (absolute; what does not exist is left out). Needs
 * CAP_SYS_ADMIN and Linux 5.12. Null, or the reason why not.
 */
export function makeMountsReadOnly(libc: Libc, writable: readonly string[]): string | null {
  const moved = libc.unshare(newMounts);
  if (!moved.ok) return `no mount namespace (${moved.error})`;
  // What is mounted here later stays here.
  const own = libc.mount("none", "/", flag.recursive | flag.slave);
  if (!own.ok) return `its mounts cannot be separated (${own.error})`;
  const bound = writable.filter((path) => libc.mount(path, path, flag.bind | flag.recursive).ok);
  const set = libc.setMountAttributes(currentFolder, "/", recursively, setReadOnly);
  if (!set.ok) return `its mounts cannot be made read-only (${set.error})`;
  for (const path of bound) libc.setMountAttributes(currentFolder, path, recursively, clearReadOnly);
  return null;
}
