/** Every process that belongs to a plugin: descendants, session and group, cgroup, and whoever carries its mark. */

import {
  aliveWithoutProc,
  hasEnvironment,
  listProcesses,
  listProcessesInTurns,
  type ProcessEntry,
  type ProcessId,
} from "./proc-table.ts";

/** What ties processes together. */
export interface FamilyTies {
  /** Processes known to belong to it; their sessions and groups do too when they lead them. */
  members: readonly ProcessId[];
  /** Pids in its cgroup. */
  cgroupPids: readonly number[];
  /** Environment assignments that only its processes carry; empty for none. */
  mark: readonly string[];
  /** Start of the first that carries the mark: what was there before need not be read for it. 0: not known. */
  markedSinceTicks: number;
  /** Never part of it: the conductor and its guard. */
  never: ReadonlySet<number>;
}

const isMarked = ({ pid, startTicks }: ProcessEntry, { mark, markedSinceTicks }: FamilyTies): boolean =>
  mark.length > 0 && startTicks >= markedSinceTicks && hasEnvironment(pid, mark);

/** The living processes that `ties` lead to, from one reading of /proc, in which nothing else is done. */
export const findFamily = (ties: FamilyTies): ProcessEntry[] =>
  familyAmong(listProcesses(), ties, (entry) => isMarked(entry, ties));

/** The same, while requests are served in between. */
export async function findFamilyInTurns(ties: FamilyTies): Promise<ProcessEntry[]> {
  const marked = new Set<number>();
  const all = await listProcessesInTurns((entry) => {
    if (isMarked(entry, ties)) marked.add(entry.pid);
  });
  return familyAmong(all, ties, ({ pid }) => marked.has(pid));
}

function familyAmong(
  all: readonly ProcessEntry[],
  ties: FamilyTies,
  carriesMark: (entry: ProcessEntry) => boolean,
): ProcessEntry[] {
  if (all.length === 0) return aliveWithoutProc(ties.members);
  const family = new Map<number, ProcessEntry>();
  const leaders = new Set(ties.members.map(({ pid }) => pid));
  const known = new Map(ties.members.map(({ pid, startTicks }) => [pid, startTicks]));
  const inCgroup = new Set(ties.cgroupPids);
  for (const entry of all) {
    if (entry.pid === 1 || ties.never.has(entry.pid)) continue;
    const isMember = known.get(entry.pid) === entry.startTicks;
    // A session or group keeps its leader's pid from being used again as long as it has members.
    const follows = leaders.has(entry.sessionId) || leaders.has(entry.groupId);
    if (isMember || follows || inCgroup.has(entry.pid) || carriesMark(entry)) family.set(entry.pid, entry);
  }
  addDescendants(family, all, ties.never);
  return [...family.values()];
}

function addDescendants(
  family: Map<number, ProcessEntry>,
  all: readonly ProcessEntry[],
  never: ReadonlySet<number>,
): void {
  for (let grown = true; grown; ) {
    grown = false;
    for (const entry of all) {
      if (family.has(entry.pid) || !family.has(entry.parentPid) || never.has(entry.pid)) continue;
      family.set(entry.pid, entry);
      grown = true;
    }
  }
}

/** Sends `signal` to one process; false when it is not there any more (or not ours to signal). */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false; // ESRCH: gone already, which is what was wanted. EPERM shows as a process that stays.
  }
}
