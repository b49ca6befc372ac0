/** The processes of this machine as /proc shows them. */

import { existsSync, readdirSync, readFileSync } from "node:fs";

/** One process. `startTicks` with the pid names it for ever: pids are used again. */
export interface ProcessEntry {
  pid: number;
  parentPid: number;
  groupId: number;
  sessionId: number;
  startTicks: number;
  /** R, S, D, Z, … */
  state: string;
}

/** A process as it is remembered. */
export type ProcessId = Pick<ProcessEntry, "pid" | "startTicks">;

/** Parses the text of /proc/PID/stat; null when it is none. The name in it may hold spaces and parentheses. */
export function parseStat(text: string): ProcessEntry | null {
  const afterName = text.lastIndexOf(")");
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(afterName + 2).split(" ");
  const number = (index: number) => Number(fields[index]);
  const entry = {
    pid,
    state: fields[0] ?? "",
    parentPid: number(1),
    groupId: number(2),
    sessionId: number(3),
    startTicks: number(19),
  };
  return afterName > 0 && Number.isInteger(pid) && Number.isInteger(entry.startTicks) ? entry : null;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // Gone since, or not ours to read: both mean "not there" here.
  }
}

/** The process called `pid`; null when there is none, or no /proc. */
export function readProcess(pid: number): ProcessEntry | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(text);
}

/** Whether this system shows its processes in /proc. */
const hasProc = existsSync("/proc/self/stat");

/** Without /proc a pid is all that can be asked for. */
function answersSignal(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // ESRCH: it is gone.
  }
}

/** A process that leads its own group, as far as it is known without /proc. */
const withoutProc = ({ pid, startTicks }: ProcessId): ProcessEntry => ({
  pid,
  startTicks,
  parentPid: process.pid,
  groupId: pid,
  sessionId: pid,
  state: "?",
});

/** Of `members`, those that still run, where there is no /proc to find them and their descendants in. */
export const aliveWithoutProc = (members: readonly ProcessId[]): ProcessEntry[] =>
  hasProc ? [] : members.filter(({ pid }) => answersSignal(pid)).map(withoutProc);

/** True while exactly this process runs; a zombie does not. */
export function isAlive({ pid, startTicks }: ProcessId): boolean {
  if (!hasProc) return answersSignal(pid);
  const now = readProcess(pid);
  return now !== null && now.startTicks === startTicks && now.state !== "Z" && now.state !== "X";
}

function processNames(): string[] {
  try {
    return readdirSync("/proc").filter((name) => {
      const first = name.charCodeAt(0);
      return first >= 48 && first <= 57;
    });
  } catch {
    return []; // No /proc: what is not seen cannot be followed.
  }
}

const living = (name: string): ProcessEntry | [] => {
  const entry = readProcess(Number(name));
  return entry && entry.state !== "Z" && entry.state !== "X" ? entry : [];
};

/** Every process, zombies left out. About 20 µs each, in which nothing else is done. */
export const listProcesses = (): ProcessEntry[] => processNames().flatMap(living);

/** So many processes are read before others have their turn: less than a millisecond. */
const sliceProcesses = 24;

/** So often those are added that were started meanwhile. */
const mostRounds = 5;

/**
 * Every process, as `listProcesses`, each shown to `visit` at once; requests are served in between, however many there are.
 * What is started meanwhile is in it too, so that nothing slips through by handing on to a child.
 */
export async function listProcessesInTurns(visit: (entry: ProcessEntry) => void): Promise<ProcessEntry[]> {
  const found: ProcessEntry[] = [];
  const seen = new Set<string>();
  for (let round = 0; round < mostRounds; round++) {
    const names = processNames().filter((name) => !seen.has(name));
    if (names.length === 0) break;
    for (let from = 0; from < names.length; from += sliceProcesses) {
      if (from > 0) await new Promise<void>((resolve) => setImmediate(resolve));
      const slice = names.slice(from, from + sliceProcesses);
      for (const name of slice) seen.add(name);
      const entries = slice.flatMap(living);
      entries.forEach(visit);
      found.push(...entries);
    }
  }
  return found;
}

/** True when the process was started with every one of `NAME=value` in its environment. */
export function hasEnvironment(pid: number, assignments: readonly string[]): boolean {
  const text = readOrNull(`/proc/${pid}/environ`);
  if (!text) return false;
  const set = `\0${text}\0`;
  return assignments.every((assignment) => set.includes(`\0${assignment}\0`));
}
