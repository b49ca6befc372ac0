/** Who belongs to a run: read from /proc, so that what hides from its parent is seen too. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const pidsNow = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

const attempt = (read: () => string): string => {
  try {
    return read();
  } catch {
    return ""; // It ended meanwhile.
  }
};

interface Process {
  pid: number;
  parent: number;
  running: boolean;
}

function processOf(pid: number): Process | null {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  const match = /\) ([A-Z]) (\d+) /.exec(stat);
  return match ? { pid, parent: Number(match[2]), running: match[1] !== "Z" && match[1] !== "X" } : null;
}

/** Running descendants of `pid`. */
export function descendantsOf(pid: number): number[] {
  const all = pidsNow().flatMap((each) => processOf(each) ?? []);
  const found: number[] = [];
  for (const queue = [pid]; queue.length > 0; ) {
    const parent = queue.shift();
    for (const child of all) {
      if (child.parent !== parent || found.includes(child.pid)) continue;
      found.push(child.pid);
      queue.push(child.pid);
    }
  }
  return found.filter((each) => processOf(each)?.running);
}

/** Running processes whose working directory, command line or environment names `folder`, whoever their parent is. */
export function processesIn(folder: string): number[] {
  return pidsNow().filter((pid) => {
    if (pid === process.pid || !processOf(pid)?.running) return false;
    const cwd = attempt(() => readlinkSync(`/proc/${pid}/cwd`));
    const words = ["cmdline", "environ"].map((file) =>
      attempt(() => readFileSync(`/proc/${pid}/${file}`, "utf8")),
    );
    return cwd.startsWith(folder) || words.some((text) => text.includes(folder));
  });
}

/** Proportional set size in bytes. */
export function pssBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]) * 1024;
}
