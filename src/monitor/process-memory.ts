/** What one process holds. */

import { readFileSync } from "node:fs";
import type { Root } from "./cgroups.ts";
import { inKib, lineKey, lineNumber } from "./counters.ts";

const pssKey = lineKey("Pss:");

/** The Pss line of smaps_rollup, in bytes; null when it is not there. */
export function parsePss(text: Buffer): number | null {
  const kib = lineNumber(text, text.length, pssKey, inKib);
  return kib === null ? null : kib * 1024;
}

const peakKey = lineKey("VmHWM:");

/**
 * Most that this process had resident, shared pages included; null where there is no /proc. Not `maxRSS` of its resource usage,
 * which remembers over the exec what whoever started it had.
 */
export function peakResidentBytes(): number | null {
  const text = readIfThere("/proc/self/status");
  const kib = text && lineNumber(text, text.length, peakKey, inKib);
  return kib === null ? null : kib * 1024;
}

/** Resident less shared pages, from statm; null for garbage. */
export function parsePrivatePages(text: string): number | null {
  const match = /^\d+ (\d+) (\d+) /.exec(text);
  return match && Math.max(0, Number(match[1]) - Number(match[2]));
}

/**
 * Proportional set size: private pages, and of each shared one its part. Null when the process is gone, belongs to
 * somebody else, or the kernel does not tell (before Linux 4.14). Costs about a millisecond for a large process.
 */
export function pssBytes(pid: number | "self", root: Root = ""): number | null {
  const text = readIfThere(`${root}/proc/${pid}/smaps_rollup`);
  return text && parsePss(text);
}

/** Resident less shared bytes, which anybody may read; null when the process is gone. Costs some microseconds. */
export function privateBytes(pid: number | "self", root: Root = ""): number | null {
  const text = readIfThere(`${root}/proc/${pid}/statm`);
  const pages = text && parsePrivatePages(text.toString("latin1"));
  return pages === null ? null : pages * pageBytes(root);
}

const pageBytesByRoot = new Map<Root, number>();
const pageSizeEntry = 6n;

/** Bytes of a page, from the auxiliary vector of this process: 4, 16 or 64 KiB. 4 KiB where it does not tell. */
function pageBytes(root: Root): number {
  const known = pageBytesByRoot.get(root);
  if (known !== undefined) return known;
  const found = parsePageBytes(readIfThere(`${root}/proc/self/auxv`) ?? Buffer.alloc(0)) ?? 4096;
  pageBytesByRoot.set(root, found);
  return found;
}

/** AT_PAGESZ in the pairs of little-endian 64-bit numbers of /proc/PID/auxv; null when it is not among them. */
export function parsePageBytes(auxv: Buffer): number | null {
  for (let at = 0; at + 16 <= auxv.length; at += 16)
    if (auxv.readBigUInt64LE(at) === pageSizeEntry) return Number(auxv.readBigUInt64LE(at + 8));
  return null;
}

/** Null when it is not there any more, or not ours to read. Throws for anything else. */
function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isGoneOrForbidden(error)) return null;
    throw error;
  }
}

/** Whether a read failed since its process or cgroup ended meanwhile, or belongs to somebody else. */
export const isGoneOrForbidden = (error: unknown): boolean =>
  ["ENOENT", "ESRCH", "ENODEV", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "");
