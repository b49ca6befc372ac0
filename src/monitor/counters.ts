/** Numbers in the texts of /proc and of cgroup files, found in the bytes as they were read: no text is made of what nobody asks for. */

const newline = 10;

/** What may stand between the key and the end of its line. */
const plain = /^[ \t]*(\d+)$/;
/** A number of KiB. */
export const inKib = /^[ \t]*(\d+) kB$/;

/** `name` as it stands before a number, such as "inactive_file " or "MemTotal:", ready to be looked for at a line's start. */
export const lineKey = (name: string): Buffer => Buffer.from(`\n${name}`);

/**
 * The whole number behind `key` (of `lineKey`) in the first `length` bytes; null when the line is not there, is not as
 * `pattern` says, or is cut off: a file that was cut off yields no cut-off number. Written with few steps that each do much,
 * since it runs in an interpreter, several times for each reading of memory.
 */
export function lineNumber(bytes: Buffer, length: number, key: Buffer, pattern = plain): number | null {
  const at = afterKey(bytes, length, key);
  if (at === null) return null;
  const end = bytes.indexOf(newline, at);
  if (end < 0 || end >= length) return null;
  const digits = pattern.exec(bytes.toString("latin1", at, end))?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Where the key at the start of a line ends; null where it is not, or only an earlier, longer read left it there. */
function afterKey(bytes: Buffer, length: number, key: Buffer): number | null {
  const at = bytes.indexOf(key);
  if (at >= 0 && at < length) return at + key.length;
  // No line end stands before the first line.
  if (length < key.length) return null;
  return bytes.compare(key, 1, key.length, 0, key.length - 1) === 0 ? key.length - 1 : null;
}

/** A file that holds one whole number; "max" is Infinity; null for anything else. */
export function soleNumber(bytes: Buffer, length: number): number | null {
  const text = bytes.toString("latin1", 0, Math.min(length, 32)).trim();
  if (text === "max") return Number.POSITIVE_INFINITY;
  return /^\d+$/.test(text) ? Number(text) : null;
}
