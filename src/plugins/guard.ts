/**
 * The guard: a small process that outlives a conductor killed with SIGKILL just long enough to end its plugins.
 *
 * It waits for the end of a socket from the conductor. With a goodbye before it, the conductor ended its plugins itself
 * and the guard just leaves. Without one it kills whatever belongs to the run, until two readings of /proc find nothing.
 */

import { type Clock, SystemClock, sleep } from "../clock.ts";
import { ByteSocket } from "./byte-socket.ts";
import { environmentMark } from "./child-environment.ts";
import { LineSplitter } from "./line-splitter.ts";
import { childCgroupPids, killCgroup } from "./plugin-cgroup.ts";
import type { ProcessId } from "./proc-table.ts";
import { findFamily, signalProcess } from "./process-family.ts";
import { type RunFolder, releaseRunCgroups } from "./run-cgroups.ts";

/** What the conductor tells its guard, one JSON object a line. */
export type GuardMessage =
  | ({ op: "add" | "remove" } & ProcessId)
  | { op: "cgroups"; folders: readonly RunFolder[] }
  | { op: "bye" };

/** One message is far smaller. */
const longestMessageBytes = 8 * 1024;
const scanPauseMs = 20;
/** After this long what is left cannot be killed (stuck in the kernel). */
const sweepDeadlineMs = 30_000;

class Guard {
  readonly #members = new Map<number, ProcessId>();
  #cgroups: readonly RunFolder[] = [];
  /** The conductor said that it ends as it should. */
  released = false;

  constructor(
    readonly runId: string,
    readonly clock: Clock,
  ) {}

  take(message: GuardMessage): void {
    if (message.op === "add") this.#members.set(message.pid, message);
    else if (message.op === "remove") this.#members.delete(message.pid);
    else if (message.op === "cgroups") this.#cgroups = message.folders;
    else this.released = true;
  }

  /** Kills everything of the run and removes its cgroups. */
  async sweep(): Promise<void> {
    const endMs = this.clock.monotonicMs() + sweepDeadlineMs;
    for (let clean = 0; clean < 2 && this.clock.monotonicMs() < endMs; ) {
      clean = this.#killOnce() === 0 ? clean + 1 : 0;
      await sleep(this.clock, scanPauseMs);
    }
    for (const { version, folder } of this.#cgroups) releaseRunCgroups(version, folder, [process.pid]);
  }

  #killOnce(): number {
    const inside = this.#cgroups.flatMap(({ version, folder }) =>
      childCgroupPids(folder).map((cgroup) => ({ ...cgroup, version })),
    );
    const family = findFamily({
      members: [...this.#members.values()],
      cgroupPids: inside.flatMap(({ pids }) => pids),
      mark: environmentMark(this.runId, null),
      // What is left of a plugin that it was told to forget may be older than those it knows.
      markedSinceTicks: 0,
      never: new Set([process.pid]),
    });
    for (const { pid, startTicks } of family) this.#members.set(pid, { pid, startTicks });
    for (const { version, folder, name } of inside) if (version === 2 && name !== "self") killCgroup(folder);
    for (const { pid } of family) signalProcess(pid, "SIGKILL");
    return family.length;
  }
}

/** Runs the guard of the run named in `argv[0]`; yields the exit code when its work is done. */
export async function runGuard(argv: readonly string[]): Promise<number> {
  const clock = new SystemClock();
  const guard = new Guard(argv[0] ?? "", clock);
  // A signal to the whole service (systemd's stop) is for the conductor: the guard leaves after it.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
  const lines = new LineSplitter(longestMessageBytes, {
    line: (bytes) => guard.take(JSON.parse(bytes.toString("utf8")) as GuardMessage),
    longLine: () => undefined, // The conductor sends none.
  });
  const ended = Promise.withResolvers<void>();
  try {
    await ByteSocket.open(3, clock, { data: (chunk) => lines.push(chunk), closed: () => ended.resolve() });
  } catch {
    process.stderr.write("__guard is started by conductor itself; run: conductor serve\n");
    return 2;
  }
  await ended.promise;
  if (!guard.released) await guard.sweep();
  return 0;
}
