/** `conductor breakers`: the circuit breakers, what moved them, and moving one by hand. */

import { SystemClock } from "../clock.ts";
import { formatDuration } from "../config/units.ts";
import { askConductor } from "./client.ts";
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
import { table } from "./table.ts";
import { unknownAction } from "./unknown-action.ts";

interface BreakerRow {
  platform: string;
  state: string;
  isolated: boolean;
  consecutiveFailures: number;
  openings: number;
  sinceAt: string;
  nextProbeAt: string | null;
  reason: string;
  movedBy: string;
}

type WithMoves = BreakerRow & {
  moves: { at: string; from: string; to: string; reason: string; movedBy: string }[];
};

const orders = ["open", "close", "isolate"];
const base = "/api/v1/breakers";

/** `conductor breakers`: lists them, shows one with its moves, or moves one. */
export const breakersCommand: Command = {
  name: "breakers",
  summary: "List the circuit breakers, show what moved one, open, close or isolate one",
  usage: [
    "conductor breakers [PLATFORM] [--port PORT] [-o json]",
    "conductor breakers open|close|isolate PLATFORM --reason TEXT",
  ].join("\n"),
  notes: [
    "open: for one reset time, then one request is let through; close: at once; isolate: open until",
    "it is closed by hand.",
  ],
  options: {
    ...serverOption,
    ...outputOption,
    reason: { type: "string", help: "open, close, isolate: why, for who reads it later" },
  },
  positionals: 2,
  run: async (invocation) => {
    const [first, platform] = invocation.positionals;
    const json = wantsJson(invocation);
    const { terminal } = invocation;
    const reason = textFlag(invocation, "reason");
    if (first !== undefined && (platform !== undefined || orders.includes(first))) {
      const moved = await order(invocation, first, platform, reason);
      terminal.out(json ? JSON.stringify(moved, null, 2) : listed([moved]));
      return exitCode.ok;
    }
    if (reason !== undefined) throw new CliError(`--reason: only with ${orders.join(", ")}`, exitCode.usage);
    if (first !== undefined) {
      const one = await askConductor<WithMoves>(invocation, `${base}/${encodeURIComponent(first)}`);
      terminal.out(json ? JSON.stringify(one, null, 2) : withMoves(one));
      return exitCode.ok;
    }
    const { breakers } = await askConductor<{ breakers: BreakerRow[] }>(invocation, base);
    terminal.out(json ? JSON.stringify({ breakers }, null, 2) : listed(breakers));
    return exitCode.ok;
  },
};

function order(
  invocation: Invocation,
  action: string,
  platform: string | undefined,
  reason: string | undefined,
): Promise<WithMoves> {
  if (!orders.includes(action)) throw unknownAction(action, orders);
  if (platform === undefined)
    throw new CliError(`${action}: expected the name of a platform`, exitCode.usage);
  if (reason === undefined || reason.trim() === "")
    throw new CliError(`${action}: expected --reason TEXT, for who reads it later`, exitCode.usage);
  const path = `${base}/${encodeURIComponent(platform)}/${action}`;
  return askConductor<WithMoves>(invocation, path, { method: "POST", body: { reason } });
}

function listed(breakers: readonly BreakerRow[]): string {
  const rows = breakers.map(({ platform, state, isolated, openings, sinceAt, movedBy, reason, ...more }) => [
    platform,
    isolated ? "isolated" : state,
    String(more.consecutiveFailures),
    String(openings),
    more.nextProbeAt === null ? "-" : untilProbe(more.nextProbeAt),
    sinceAt,
    `${reason} (${movedBy})`,
  ]);
  return table([["PLATFORM", "STATE", "FAILURES", "OPENINGS", "NEXT PROBE", "SINCE", "WHY"], ...rows]);
}

/** Whether it is due is the conductor's word; its clock and this one are of the same host. */
const untilProbe = (at: string): string => {
  const leftMs = new Date(at).getTime() - new SystemClock().nowMs();
  return leftMs <= 0 ? "now" : `in ${formatDuration(leftMs)}`;
};

function withMoves(breaker: WithMoves): string {
  const rows = breaker.moves.map(({ at, from, to, movedBy, reason }) => [
    at,
    `${from} > ${to}`,
    movedBy,
    reason,
  ]);
  const moves = rows.length === 0 ? "it never moved" : table([["AT", "MOVE", "BY", "WHY"], ...rows]);
  return `${listed([breaker])}\n\n${moves}`;
}
