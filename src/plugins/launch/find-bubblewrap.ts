/** Where bwrap is, and which one. */

export interface Bubblewrap {
  path: string;
  /** As it calls itself: "bubblewrap 0.8.0". */
  version: string;
}

const longestVersionChars = 40;
const known = new Map<string, Bubblewrap>();

/** The bwrap on PATH; null where it is not installed or does not run. Asked for its version once. */
export function findBubblewrap(): Bubblewrap | null {
  const path = Bun.which("bwrap");
  if (path === null) return null;
  const before = known.get(path);
  if (before) return before;
  const asked = Bun.spawnSync([path, "--version"], { stdin: "ignore", stderr: "ignore" });
  if (!asked.success) return null;
  const version = asked.stdout.toString().trim().slice(0, longestVersionChars);
  const found = { path, version };
  known.set(path, found);
  return found;
}
