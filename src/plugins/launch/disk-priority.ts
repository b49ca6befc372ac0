/** Reads and writes only when nobody else wants the disk: ioprio_set(2). */

import { Libc } from "./libc.ts";

/** IOPRIO_WHO_PROCESS, and 0 for the calling thread. */
const thisThread = [1, 0] as const;
/** IOPRIO_CLASS_IDLE in the upper bits. */
const idle = 3 << 13;

/** Of this thread; false where the system has no such thing. Schedulers other than BFQ may take no notice. */
export function yieldTheDisk(): boolean {
  if (process.platform !== "linux") return false;
  try {
    return Libc.open().syscall("ioprio_set", ...thisThread, idle).ok;
  } catch {
    return false; // No C library under a known name: the work is done all the same.
  }
}
