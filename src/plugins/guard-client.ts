/** The conductor's side of the guard: starts it, tells it who belongs to the run, starts it again when it dies. */

import type { Clock, Timer } from "../clock.ts";
import type { Log } from "../log.ts";
import { ByteSocket } from "./byte-socket.ts";
import type { GuardMessage } from "./guard.ts";
import type { ProcessId } from "./proc-table.ts";
import type { RunFolder } from "./run-cgroups.ts";

export interface GuardOptions {
  /** How this program starts itself; see `selfCommand`. */
  selfCommand: readonly string[];
  runId: string;
  clock: Clock;
  log: Log;
}

const firstRestartMs = 100;
const slowestRestartMs = 10_000;

export class GuardClient {
  readonly #options: GuardOptions;
  readonly #members = new Map<number, ProcessId>();
  #cgroups: GuardMessage | null = null;
  #child: Bun.Subprocess | null = null;
  #socket: ByteSocket | null = null;
  #restartDelayMs = firstRestartMs;
  #restart: Timer | null = null;
  #closing = false;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** Null while none runs. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Starts it and waits until it can be told things. A guard that cannot be started is logged and tried again. */
  async start(): Promise<void> {
    const { selfCommand, runId, clock } = this.#options;
    try {
      const child = Bun.spawn([...selfCommand, "__guard", runId], {
        cwd: "/",
        // Not the conductor's environment: it holds the mark of no run. Without its compilers Bun needs less memory.
        env: { BUN_JSC_useJIT: "0" },
        detached: true,
        stdio: ["ignore", "ignore", "inherit", "pipe"],
      });
      this.#child = child;
      void child.exited.then(() => this.#ended(child));
      const fd: unknown = (child.stdio as readonly unknown[])[3];
      if (typeof fd !== "number") throw new Error("the runtime gave no socket");
      const silent = { data: () => undefined, closed: () => undefined };
      this.#socket = await ByteSocket.open(fd, clock, silent);
    } catch (error) {
      this.#options.log.error("plugins.guard_failed", {
        error,
        effect: "if conductor is killed with SIGKILL, plugins may outlive it",
      });
      this.#scheduleRestart();
      return;
    }
    if (this.#cgroups) this.#tell(this.#cgroups);
    for (const member of this.#members.values()) this.#tell({ op: "add", ...member });
    const told = this.#members.size;
    if (this.#restart !== null) this.#options.log.info("plugins.guard_back", { pid: this.pid, told });
  }

  #ended(child: Bun.Subprocess): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#socket = null;
    if (this.#closing) return;
    this.#options.log.warn("plugins.guard_died", { exitCode: child.exitCode, signal: child.signalCode });
    this.#scheduleRestart();
  }

  #scheduleRestart(): void {
    if (this.#closing) return;
    this.#restart?.cancel();
    this.#restart = this.#options.clock.after(this.#restartDelayMs, () => void this.start());
    this.#restartDelayMs = Math.min(slowestRestartMs, this.#restartDelayMs * 2);
  }

  #tell(message: GuardMessage): void {
    this.#socket?.write(Buffer.from(`${JSON.stringify(message)}\n`));
  }

  /** From now on this process, its group, session and descendants die with the conductor. */
  add({ pid, startTicks }: ProcessId): void {
    this.#members.set(pid, { pid, startTicks });
    this.#tell({ op: "add", pid, startTicks });
  }

  /** The process has ended with all that belonged to it. */
  remove({ pid, startTicks }: ProcessId): void {
    this.#members.delete(pid);
    this.#tell({ op: "remove", pid, startTicks });
  }

  /** The cgroups of the run, to be killed and removed. */
  setCgroups(folders: readonly RunFolder[]): void {
    this.#cgroups = { op: "cgroups", folders };
    this.#tell(this.#cgroups);
  }

  /** Sends it away: everything is stopped already. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#restart?.cancel();
    const child = this.#child;
    this.#tell({ op: "bye" });
    this.#socket?.end();
    await child?.exited;
  }
}
