/** Numbers in the texts of /proc and of cgroup files, found in the bytes as they were read: no text is built. */

const newline = Buffer.from("\n");

/** `name` as it stands before a number, such as "inactive_file " or "MemTotal:", ready to be looked for at a line's start. */
export const lineKey = (name: string): Buffer => Buffer.from(`\n${name}`);

/**
 * The whole number behind `key` (of `lineKey`) in the first `length` bytes; null when the line is not there, holds no
 * number, or does not end with `ending`: a file that was cut off yields no cut-off number.
 */
export function lineNumber(bytes: Buffer, length: number, key: Buffer, ending = newline): number | null {
  let at = afterKey(bytes, length, key);
  if (at === null) return null;
  while (bytes[at] === 32 || bytes[at] === 9) at++;
  const first = at;
  let value = 0;
  for (; at < length; at++) {
    const digit = (bytes[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  const whole = at > first && at + ending.length <= length;
  return whole && bytes.compare(ending, 0, ending.length, at, at + ending.length) === 0 ? value : null;
}

/** Where the key at the start of a line ends; past `length` when only an earlier, longer read left it there. */
function afterKey(bytes: Buffer, length: number, key: Buffer): number | null {
  if (length < key.length) return null;
  if (bytes.compare(key, 1, key.length, 0, key.length - 1) === 0) return key.length - 1;
  const at = bytes.indexOf(key);
  return at < 0 ? null : at + key.length;
}

/** A file that holds one whole number; "max" is Infinity; null for anything else. */
export function soleNumber(bytes: Buffer, length: number): number | null {
  const text = bytes.toString("latin1", 0, Math.min(length, 32)).trim();
  if (text === "max") return Number.POSITIVE_INFINITY;
  return /^\d+$/.test(text) ? Number(text) : null;
}
