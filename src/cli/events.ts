/** `conductor events`: what happens, as it happens. */

import { eventNames } from "../events/events.ts";
import { escaped } from "../log.ts";
import {
  CliError,
  type Command,
  exitCode,
  outputOption,
  serverOption,
  textFlag,
  wantsJson,
} from "./command.ts";
import { follow } from "./follow.ts";
import { wholeNumberFlag } from "./plugins/action.ts";

interface EventRow {
  id: string | null;
  name: string;
  at: string;
  data: Record<string, unknown>;
}

const nameWidth = Math.max(...eventNames.map((name) => name.length));
/** Of texts that stand alone in a column, so that the columns after them stay in line. */
const subjectWidth = 12;

const valueText = (value: unknown): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
};

/** A line for a terminal: time, name, whom it is about, then the rest. What a plugin wrote may hold commands: written out. */
export function eventLine({ name, at, data }: EventRow): string {
  const { plugin, platform, ...rest } = data;
  const subject = typeof plugin === "string" ? plugin : typeof platform === "string" ? platform : "-";
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${valueText(value)}`);
  const columns = [at, name.padEnd(nameWidth), subject.padEnd(subjectWidth), ...fields];
  return escaped(columns.join(" ").trimEnd());
}

function lostText({ dropped, restarted }: { dropped: number; restarted?: boolean }): string {
  const lost = `${dropped} ${dropped === 1 ? "event is" : "events are"} not kept any more`;
  return restarted ? `conductor was started anew: what came before is lost, and ${lost}` : lost;
}

export const eventsCommand: Command = {
  name: "events",
  summary: "Show what happens as it happens, until Ctrl-C",
  usage: "conductor events [PATTERN…] [--since ID] [--last N] [--port PORT] [-o json]",
  notes: [
    'PATTERN is a name (health.changed), a group ("plugin.*") or all ("*", the default). The log lines of plugins',
    "come only when plugin.log is named. Names:",
    ...eventNames.map((name) => `  ${name}`),
  ],
  options: {
    ...serverOption,
    ...outputOption,
    since: { type: "string", help: "Begin after the event with this id, as far as events are kept" },
    last: {
      type: "string",
      short: "n",
      help: "Begin with so many of the last events, 0 to 1000 (default: 10)",
    },
  },
  positionals: Number.POSITIVE_INFINITY,
  run: async (invocation) => {
    const { terminal, positionals } = invocation;
    const json = wantsJson(invocation);
    const since = textFlag(invocation, "since");
    const last = wholeNumberFlag(invocation, "last", 0, 1_000);
    if (since !== undefined && last !== undefined)
      throw new CliError("--last: not with --since, which says where to begin", exitCode.usage);
    const query = new URLSearchParams({ pattern: positionals.join(",") || "*" });
    if (since === undefined) query.set("last", String(last ?? 10));
    else query.set("since", since);
    let newest = since;
    return follow(
      invocation,
      `/api/v1/events?${query}`,
      ({ event, data }) => {
        if (event === "dropped") {
          terminal.err(`conductor: ${lostText(JSON.parse(data) as { dropped: number })}`);
          return;
        }
        const row = JSON.parse(data) as EventRow;
        newest = row.id ?? newest;
        terminal.out(json ? data : eventLine(row));
      },
      () => (newest === undefined ? "start it again to go on" : `go on with --since ${newest}`),
    );
  },
};
