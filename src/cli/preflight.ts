/** `conductor preflight`: may an operation take so much memory; and to run it while its memory is kept free. */

import { SystemClock, sleep } from "../clock.ts";
import { parseBytes, parseDurationMs } from "../config/units.ts";
import { longestLeaseMs } from "../scaler/leases.ts";
import { type Told, tryConductor } from "./client.ts";
import {
  CliError,
  type Command,
  exitCode,
  type Invocation,
  outputOption,
  serverOption,
  textFlag,
  wantsJson,
} from "./command.ts";
import { runLeased } from "./leased-command.ts";

interface Granted {
  decision: "proceed";
  leaseId: string;
  expiresAt: string;
  availableBytes: number;
  reason: string;
}

const path = "/api/v1/scaling/preflight";
/** Of a command's lease, which is renewed while it runs: soon over when this program is killed. */
const commandLeaseMs = 15_000;
const renewEveryMs = 3_000;
/** Between two questions while there is no room. */
const leastPauseMs = 500;
const mostPauseMs = 5_000;

/** `conductor preflight BYTES`: asks, or runs a command under the lease. */
export const preflightCommand: Command = {
  name: "preflight",
  summary: "Ask whether an operation may take memory, or run it with its memory kept free",
  usage: [
    "conductor preflight SIZE [--lease TIME] [--wait TIME] [--port PORT] [-o json]",
    "conductor preflight SIZE [--priority N] [--shed] [--wait TIME] -- COMMAND [ARGUMENT …]",
  ].join("\n"),
  notes: [
    "What is granted counts as used until the lease ends. With a command the lease lasts as long as the",
    "command runs, whose exit code is the answer; what it holds by then counts once. Exit 1: there is no room.",
  ],
  options: {
    ...serverOption,
    ...outputOption,
    name: { type: "string", help: "Whose memory it is, for who reads it (default: the command)" },
    lease: { type: "string", help: "Without a command: how long it is kept (default: 60s, at most 1h)" },
    wait: { type: "string", help: "Ask again for so long while there is no room (default: 0s)" },
    priority: {
      type: "string",
      help: "Plugins of a smaller priority are less important; or a plugin's name: those shed before it",
    },
    shed: { type: "boolean", help: "Shed less important plugins where that makes room" },
  },
  positionals: Infinity,
  run: async (invocation) => {
    const [size, ...command] = invocation.positionals;
    const body = questionOf(invocation, size, command);
    const waitMs = timeFlag(invocation, "wait", 0, longestLeaseMs) ?? 0;
    const json = wantsJson(invocation);
    const told = await untilRoom(invocation, body, waitMs);
    if ("refusal" in told) return refused(invocation, told.refusal, json && command.length === 0);
    if (command.length > 0) return underLease(invocation, told.answer.leaseId, command);
    const { reason, leaseId, expiresAt } = told.answer;
    invocation.terminal.out(
      json ? JSON.stringify(told.answer, null, 2) : `proceed: ${reason}\nlease ${leaseId} until ${expiresAt}`,
    );
    return exitCode.ok;
  },
};

/** The body of the question. Throws CliError of wrong usage. */
function questionOf(invocation: Invocation, size: string | undefined, command: readonly string[]): object {
  if (size === undefined) throw usage('expected how much memory, such as "2GiB"');
  const bytes = parseBytes(size);
  if (typeof bytes === "string") throw usage(`${size}: ${bytes}`);
  if (bytes < 1) throw usage(`${size}: expected more than 0B`);
  const priority = textFlag(invocation, "priority");
  const lease = timeFlag(invocation, "lease", 1, longestLeaseMs);
  if (lease !== undefined && command.length > 0)
    throw usage("--lease: only without a command: its lease lasts as long as it runs");
  const leaseMs = command.length > 0 ? commandLeaseMs : lease;
  const name = textFlag(invocation, "name") ?? command[0]?.slice(-64);
  return {
    bytes,
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(name === undefined ? {} : { name }),
    ...(priority === undefined ? {} : { priority: /^-?\d+$/.test(priority) ? Number(priority) : priority }),
    ...(invocation.flags.shed === true ? { shed: true } : {}),
  };
}

const usage = (message: string) => new CliError(message, exitCode.usage);

function timeFlag(invocation: Invocation, name: string, minMs: number, maxMs: number): number | undefined {
  const text = textFlag(invocation, name);
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (typeof ms === "string") throw usage(`--${name} ${text}: ${ms}`);
  if (ms < minMs || ms > maxMs) throw usage(`--${name} ${text}: expected ${minMs}ms to 1h`);
  return Math.round(ms);
}

/** Asks, and for `waitMs` again while there is no room. */
async function untilRoom(invocation: Invocation, body: object, waitMs: number) {
  const clock = new SystemClock();
  const untilMs = clock.monotonicMs() + waitMs;
  for (;;) {
    const told = await tryConductor<Granted>(invocation, path, { method: "POST", body });
    if ("answer" in told || told.refusal.status !== 503) return told;
    const leftMs = untilMs - clock.monotonicMs();
    if (leftMs <= 0) return told;
    const askedMs = Math.max(leastPauseMs, 1_000 * (told.refusal.retryAfterSeconds ?? 1));
    await sleep(clock, Math.min(leftMs, mostPauseMs, askedMs));
  }
}

function refused({ terminal }: Invocation, { title, detail, document }: Told, json: boolean): number {
  if (json) terminal.out(JSON.stringify(document, null, 2));
  else terminal.err(`conductor: ${title}: ${detail}`);
  return exitCode.failed;
}

async function underLease(
  invocation: Invocation,
  leaseId: string,
  command: readonly string[],
): Promise<number> {
  const { folder, environment, terminal } = invocation;
  const lease = `${path}/${leaseId}`;
  let failed = false;
  // Once: what the command prints is not to be drowned by it.
  const tell = (what: string, refusal: Told) => {
    if (!failed)
      terminal.err(`conductor: the lease could not be ${what}: ${refusal.title}: ${refusal.detail}`);
    failed = true;
  };
  try {
    return await runLeased({
      command,
      folder,
      environment,
      everyMs: renewEveryMs,
      renew: async (takenBytes) => {
        const body = { leaseMs: commandLeaseMs, ...(takenBytes === undefined ? {} : { takenBytes }) };
        // The command has its memory by now: it goes on, whatever becomes of the conductor.
        const told = await tryConductor(invocation, lease, { method: "PUT", body }).catch(unreached);
        if ("refusal" in told) tell("renewed", told.refusal);
      },
    });
  } finally {
    const told = await tryConductor(invocation, lease, { method: "DELETE" }).catch(unreached);
    if ("refusal" in told) tell("given back", told.refusal);
  }
}

function unreached(error: unknown): { refusal: Told } {
  if (!(error instanceof CliError)) throw error;
  return {
    refusal: {
      status: 0,
      title: "not reached",
      detail: error.message,
      retryAfterSeconds: null,
      document: null,
    },
  };
}
