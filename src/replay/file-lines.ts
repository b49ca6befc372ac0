import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { TraceError } from "./trace-error.ts";

/** The longest line that is taken for one; a file without line ends is no trace. */
const longestLineBytes = 1 << 20;

const lineFeed = 10;
const carriageReturn = 13;
const byteOrderMark = [0xef, 0xbb, 0xbf];

/**
 * Gives each line of a file, without its line end (LF or CRLF) and without a byte order mark at the very start, to
 * `onLine` as the bytes from `start` up to `end` of a buffer that the next line may overwrite; lines count from 1.
 * Holds no more of the file than one buffer. `onRead` hears of the share read so far, 0..1, where the size is known.
 * Throws a `TraceError` for what cannot be opened or read, and for a line of more than 1 MiB.
 */
export function forEachLine(
  path: string,
  file: string,
  onLine: (bytes: Uint8Array, start: number, end: number, line: number) => void,
  onRead?: (share: number) => void,
): void {
  const descriptor = attempt(file, () => openSync(path, "r"));
  try {
    const stat = fstatSync(descriptor);
    if (stat.isDirectory()) throw new TraceError({ file }, "is a directory: name the CSV files in it");
    const buffer = new Uint8Array(longestLineBytes);
    let [begin, filled, line, readBytes] = [0, 0, 0, 0];
    for (;;) {
      const got = attempt(file, () => readSync(descriptor, buffer, filled, buffer.length - filled, null));
      if (readBytes === 0 && byteOrderMark.every((byte, i) => i < got && buffer[i] === byte)) begin = 3;
      const scanned = filled;
      filled += got;
      readBytes += got;
      for (let at = scanned; at < filled; at++) {
        if (buffer[at] !== lineFeed) continue;
        onLine(buffer, begin, withoutReturn(buffer, begin, at), ++line);
        begin = at + 1;
      }
      if (got === 0) break;
      if (stat.size > 0) onRead?.(readBytes / stat.size);
      buffer.copyWithin(0, begin, filled);
      filled -= begin;
      begin = 0;
      if (filled === buffer.length)
        throw new TraceError({ file, line: line + 1 }, "longer than 1 MiB: this is no CSV file");
    }
    if (begin < filled) onLine(buffer, begin, withoutReturn(buffer, begin, filled), ++line);
  } finally {
    closeSync(descriptor);
  }
}

function withoutReturn(bytes: Uint8Array, start: number, end: number): number {
  return end > start && bytes[end - 1] === carriageReturn ? end - 1 : end;
}

const causes: Record<string, string> = {
  ENOENT: "no such file",
  EACCES: "may not be read by this user",
  EISDIR: "is a directory: name the CSV files in it",
};

function attempt<T>(file: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new TraceError({ file }, causes[code] ?? `cannot be read (${code})`);
  }
}
