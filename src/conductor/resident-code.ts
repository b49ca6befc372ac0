/**
 * Keeps conductor's own program in memory. When memory runs out the kernel drops pages of programs first, for they can be read
 * again; then each step of a conductor that is to stop a plugin waits for the disk. On a host of 1.3 GB it stood still for 40 s,
 * until the kernel killed. Locked pages are not counted as available either, so what is measured is what there is.
 */

import { readFileSync } from "node:fs";
import { Libc } from "../plugins/launch/libc.ts";

/** mlock2(2): what is in memory, and what comes later, when it comes; pages that are never used cost nothing. */
const onFault = 1;

/** A line of /proc/PID/maps: addresses, access, offset, device, inode, path. */
const line = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+) +(\/.*)$/;

export type Locked = { ok: true; mappings: number } | { ok: false; because: string };

/** Ranges of memory that are read from files and never written: the program and its libraries. */
export function codeMappings(maps: string): { start: number; bytes: number }[] {
  return maps.split("\n").flatMap((text) => {
    const [, start = "", end = "", access = "", inode = "0"] = line.exec(text) ?? [];
    if (inode === "0" || access[0] !== "r" || access[1] === "w") return [];
    const [from, to] = [Number.parseInt(start, 16), Number.parseInt(end, 16)];
    return [{ start: from, bytes: to - from }];
  });
}

/** Locks the program's pages; the reason where the system does not allow it, such as a small RLIMIT_MEMLOCK. */
export function lockCode(): Locked {
  try {
    const libc = Libc.open();
    const mappings = codeMappings(readFileSync("/proc/self/maps", "utf8"));
    for (const { start, bytes } of mappings) {
      const done = libc.syscall("mlock2", start, bytes, onFault);
      if (!done.ok) return { ok: false, because: done.error };
    }
    return { ok: true, mappings: mappings.length };
  } catch (error) {
    return { ok: false, because: error instanceof Error ? error.message : String(error) };
  }
}
