/** Ends a plugin's processes, all of them, and makes sure: TERM, grace, KILL, until none is left. */

import { type Clock, sleep } from "../clock.ts";
import { killCgroup, type PluginCgroup } from "./plugin-cgroup.ts";
import { isAlive, type ProcessEntry, type ProcessId } from "./proc-table.ts";
import { type FamilyTies, findFamily, findFamilyInTurns, signalProcess } from "./process-family.ts";

/** What is to be ended. */
export interface Target {
  /** The process that was started; it leads its session and group. */
  root: ProcessId;
  exited: Promise<unknown>;
  cgroup: PluginCgroup | null;
  mark: readonly string[];
  never: ReadonlySet<number>;
  /** Called before the first SIGKILL; lifts what would make it slow to end. */
  beforeKill(): void;
}

export interface Termination {
  /** Nothing of it is left; checked by pid and start time. */
  gone: boolean;
  /** It took a SIGKILL to end the root process. */
  killed: boolean;
  /** Processes beside the root that had to be killed. */
  leftBehind: number;
}

/** After the root has ended, whatever it left behind gets this long to end by itself. */
const leftBehindGraceMs = 500;
/** How long killed processes may take to disappear. One stuck in the kernel (state D) may never. */
const killDeadlineMs = 3_000;
const pollMs = 5;

/** Remembers who belonged to the family at any time: a process may lose its ties while it is being watched. */
class Roll {
  readonly #members = new Map<number, ProcessId>();

  constructor(readonly target: Target) {
    this.#members.set(target.root.pid, target.root);
  }

  /** Everyone alive now, from a new reading of /proc; an urgent one waits for nothing else. */
  async read(urgent: boolean): Promise<ProcessEntry[]> {
    const { cgroup, mark, never, root } = this.target;
    const members = [...this.#members.values()];
    const ties: FamilyTies = {
      members,
      cgroupPids: cgroup?.pids() ?? [],
      mark,
      markedSinceTicks: root.startTicks,
      never,
    };
    const alive = urgent ? findFamily(ties) : await findFamilyInTurns(ties);
    for (const { pid, startTicks } of alive) this.#members.set(pid, { pid, startTicks });
    return alive;
  }

  /** Everyone known and alive, without reading all of /proc. */
  get anyoneAlive(): boolean {
    for (const member of this.#members.values()) if (isAlive(member)) return true;
    return false;
  }
}

function signalGroup(target: Target, signal: NodeJS.Signals): void {
  signalProcess(-target.root.pid, signal);
}

function signalAll(target: Target, entries: readonly ProcessEntry[], signal: NodeJS.Signals): void {
  signalGroup(target, signal);
  for (const entry of entries)
    if (entry.groupId !== target.root.pid && isAlive(entry)) signalProcess(entry.pid, signal);
}

/** Kills until nothing is left or the deadline passed. */
async function killAll(
  roll: Roll,
  clock: Clock,
  urgent: AbortSignal,
): Promise<{ gone: boolean; leftBehind: number }> {
  const { target } = roll;
  const endMs = clock.monotonicMs() + killDeadlineMs;
  const killed = new Set<number>();
  for (;;) {
    const alive = await roll.read(urgent.aborted);
    if (alive.length === 0) return { gone: true, leftBehind: killed.size };
    for (const { pid } of alive) if (pid !== target.root.pid) killed.add(pid);
    if (target.cgroup?.version === 2) killCgroup(target.cgroup.folder);
    signalAll(target, alive, "SIGKILL");
    if (clock.monotonicMs() >= endMs) return { gone: false, leftBehind: killed.size };
    // A look at those it knows costs less than another reading of all.
    do await sleep(clock, pollMs);
    while (roll.anyoneAlive && clock.monotonicMs() < endMs);
  }
}

/** Waits until the family is gone, `urgent` aborts, or the time is over. */
async function waitGone(roll: Roll, clock: Clock, graceMs: number, urgent: AbortSignal): Promise<void> {
  const { root } = roll.target;
  let endMs = clock.monotonicMs() + graceMs;
  let rootSeenGone = false;
  while (!urgent.aborted && clock.monotonicMs() < endMs && roll.anyoneAlive) {
    if (!rootSeenGone && !isAlive(root)) {
      rootSeenGone = true;
      endMs = Math.min(endMs, clock.monotonicMs() + leftBehindGraceMs);
    }
    await sleep(clock, pollMs);
  }
}

/**
 * The first blow of an emergency: when this returns, SIGKILL is on its way to all that is known of the target, and nothing
 * else was done before. Where a cgroup holds the family that is one call to the kernel; else the family is looked up
 * first, for its descendants are nobody's once the root has ended. `terminate` has to follow: it finds what was missed.
 */
export function strike(target: Target): void {
  const { cgroup, root, mark, never } = target;
  if (cgroup?.version !== 2 || !killCgroup(cgroup.folder)) {
    const ties = { members: [root], cgroupPids: [], mark, markedSinceTicks: root.startTicks, never };
    signalAll(target, cgroup ? [] : findFamily(ties), "SIGKILL");
  }
  target.beforeKill();
}

/** Ends the target. With `urgent` aborted, at once or on the way, it kills without waiting. */
export async function terminate(
  target: Target,
  options: { graceMs: number; urgent: AbortSignal; clock: Clock },
): Promise<Termination> {
  const { clock, urgent } = options;
  // Who belongs to it is found before anything ends: afterwards the descendants are nobody's.
  const roll = new Roll(target);
  const before = urgent.aborted ? [] : await roll.read(false);
  if (!urgent.aborted && before.length > 0) {
    signalAll(target, before, "SIGTERM");
    // A stopped process (SIGSTOP) would never see the TERM.
    signalAll(target, before, "SIGCONT");
    await waitGone(roll, clock, options.graceMs, urgent);
  }
  const killed = isAlive(target.root);
  target.beforeKill();
  const { gone, leftBehind } = await killAll(roll, clock, urgent);
  if (gone) await target.exited;
  return { gone, killed, leftBehind };
}
