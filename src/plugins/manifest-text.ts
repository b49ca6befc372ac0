/** The text of a manifest from its file: bounded, without blocking, and with what a cache needs to know of the file. */

import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";

/** What tells one state of a file from another without reading it. */
export interface FileState {
  mtimeNs: bigint;
  /** Set by every change, and by nothing that an ordinary program does. */
  ctimeNs: bigint;
  sizeBytes: bigint;
  inode: bigint;
}

export type FileLook =
  | { kind: "file"; state: FileState }
  /** There is none. */
  | { kind: "absent" }
  | { kind: "problem"; problem: string };

/** Why a file cannot be used, for a person: `plugin.yaml: …`. */
function reasonOf(file: string, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  if (code === "EACCES") return `${file}: may not be read by this user`;
  if (code === "ELOOP") return `${file}: is a link that leads back to itself`;
  return `${file}: cannot be read (${code})`;
}

/** What is at `file`, links followed: a plain file, nothing, or something that is no manifest. */
export function lookAt(file: string): FileLook {
  try {
    const stat = statSync(file, { bigint: true });
    if (!stat.isFile()) return { kind: "problem", problem: `${file}: expected a file` };
    const { mtimeNs, ctimeNs, size: sizeBytes, ino: inode } = stat;
    return { kind: "file", state: { mtimeNs, ctimeNs, sizeBytes, inode } };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "absent" };
    return { kind: "problem", problem: reasonOf(file, error) };
  }
}

export const sameState = (a: FileState, b: FileState): boolean =>
  a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.sizeBytes === b.sizeBytes && a.inode === b.inode;

/** The bytes of a plain file of at most `mostBytes`. A pipe or a device put in its place is not waited for. */
export function readBounded(file: string, mostBytes: number): { bytes: Uint8Array } | { problem: string } {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    return { problem: reasonOf(file, error) };
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return { problem: `${file}: expected a file` };
    const tooLarge = (bytes: number) => `${file}: ${bytes} bytes: expected at most ${mostBytes}`;
    if (stat.size > mostBytes) return { problem: tooLarge(stat.size) };
    // One byte more than it should have: it may be growing.
    const bytes = new Uint8Array(stat.size + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    if (length > stat.size) return { problem: `${file}: was changed while it was read; try again` };
    return { bytes: bytes.subarray(0, length) };
  } catch (error) {
    return { problem: reasonOf(file, error) };
  } finally {
    closeSync(descriptor);
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** The text of a manifest, with neither a byte order mark nor carriage returns, or why there is none. */
export function readManifestText(file: string, mostBytes: number): { text: string } | { problem: string } {
  const read = readBounded(file, mostBytes);
  if ("problem" in read) return read;
  try {
    return { text: strictUtf8.decode(read.bytes).replaceAll("\r\n", "\n") };
  } catch {
    // What it does not decode, the lenient decoder marks, and so tells the line.
    const before = new TextDecoder().decode(read.bytes).split("\uFFFD", 1)[0] ?? "";
    return { problem: `${file}:${before.split("\n").length}: expected UTF-8 text` };
  }
}
