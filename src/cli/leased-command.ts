/** A command that runs while memory is leased to it: the lease is renewed until it ends, and told what it holds by then. */

import { constants } from "node:os";
import { every, SystemClock } from "../clock.ts";
import { footprints } from "../monitor/footprint.ts";
import { CliError } from "./command.ts";

export interface LeasedCommand {
  command: readonly string[];
  folder: string;
  environment: Readonly<Record<string, string | undefined>>;
  /** The lease is renewed this often; once more well before it would end, should one renewal be lost. */
  everyMs: number;
  /** `takenBytes`: what the command and all that it started hold; undefined when that cannot be read. */
  renew: (takenBytes: number | undefined) => Promise<void>;
}

/** What a shell answers for a program that cannot be found or run, and for one that a signal ended: 128 and its number. */
const notStarted = 127;
const signalled = 128;
/** They end this program too: the command gets them, and is waited for. */
const passedOn = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** Runs it with this program's stdin, stdout and stderr; yields its exit code. Throws CliError when it cannot be started. */
export async function runLeased(leased: LeasedCommand): Promise<number> {
  let child: Bun.Subprocess | null = null;
  const pass = (signal: NodeJS.Signals) => child?.kill(signal);
  // Before the command: what it does first may be to make somebody signal this program.
  for (const signal of passedOn) process.on(signal, pass);
  try {
    child = start(leased);
    return await ended(leased, child);
  } finally {
    for (const signal of passedOn) process.off(signal, pass);
  }
}

/** Renews the lease until the command ends; yields its exit code. */
async function ended({ everyMs, renew }: LeasedCommand, child: Bun.Subprocess): Promise<number> {
  const renewing = every(new SystemClock(), everyMs, () => renew(heldBytes(child.pid)));
  try {
    const code = await child.exited;
    return child.signalCode === null
      ? code
      : signalled + constants.signals[child.signalCode as NodeJS.Signals];
  } finally {
    renewing.cancel();
  }
}

function start({ command, folder, environment }: LeasedCommand) {
  try {
    return Bun.spawn([...command], {
      cwd: folder,
      env: { ...environment },
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const why = code === "ENOENT" ? "no such program" : message;
    throw new CliError(`${command[0]}: ${why}`, notStarted);
  }
}

const heldBytes = (pid: number): number | undefined =>
  footprints([{ plugin: "", rootPids: [pid], cgroups: [], rootPidsOutside: [pid] }])[0]?.bytes;
