/** Whether a user can reach a path: the permission bits of every folder on the way, and of what is there. */

import { dirname } from "node:path";

/** What is known of one path; the low 12 bits of its mode, and whose it is. */
export interface Bits {
  mode: number;
  uid: number;
  gid: number;
}

/** Null where there is nothing. */
export type ReadBits = (path: string) => Bits | null;

/** What is wanted there, as permission bits of one class: 4 read, 2 write, 1 execute or enter. */
export interface Want {
  path: string;
  bits: number;
}

const readFile = 4;
const words: Record<number, string> = { 1: "x", 5: "rx", 7: "rwx" };

function allows({ mode, uid, gid }: Bits, user: number, bits: number): boolean {
  const own = uid === user ? mode >> 6 : gid === user ? mode >> 3 : mode;
  return (own & bits) === bits;
}

/** The folders from / to the one that holds `path`. */
function above(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...above(parent), parent];
}

/**
 * Why `user` (uid and gid alike) cannot have all it wants, with the command that would open the first closed path; null
 * when it can. What does not exist closes nothing.
 */
export function closedPath(user: number, wants: readonly Want[], read: ReadBits): string | null {
  for (const { path, bits } of wants) {
    const way: Want[] = [...above(path).map((folder) => ({ path: folder, bits: 1 })), { path, bits }];
    for (const step of way) {
      const found = read(step.path);
      if (!found || allows(found, user, step.bits)) continue;
      // A file that others may not read is likely a secret: it is given to this user, not to everyone.
      const remedy = step.bits === readFile ? `chown ${user}` : `chmod o+${words[step.bits] ?? "rwx"}`;
      return `${step.path} is closed to other users; open it with: ${remedy} ${step.path}`;
    }
  }
  return null;
}
