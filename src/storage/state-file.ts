/** A small file beside the database that is replaced as a whole: a reader finds the old bytes or the new ones. */

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";

/** What cannot be read or written, in a sentence; null: it can. */
export interface StateFileProblem {
  problem: string;
}

const reasonOf = (error: unknown): StateFileProblem => ({
  problem: error instanceof Error ? error.message : String(error),
});

/** The bytes of a plain file of at most `mostBytes`; null when there is none. */
export function readStateFile(path: string, mostBytes: number): Uint8Array | StateFileProblem | null {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? null : reasonOf(error);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) return { problem: `${path} is not a plain file` };
    if (stat.size > mostBytes) return { problem: `${path} has ${stat.size} bytes, over ${mostBytes}` };
    return readFileSync(file);
  } catch (error) {
    return reasonOf(error);
  } finally {
    closeSync(file);
  }
}

/** Writes the bytes for this user alone, and only then puts them in the place of the old ones. */
export function writeStateFile(path: string, bytes: Uint8Array): StateFileProblem | null {
  const unfinished = `${path}.new`;
  try {
    rmSync(unfinished, { force: true });
    const file = openSync(unfinished, "wx", 0o600);
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(unfinished, path);
    return null;
  } catch (error) {
    return reasonOf(error);
  }
}
