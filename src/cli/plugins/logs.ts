/** `conductor plugins logs`: what a plugin wrote last, and with -f what it writes from then on. */

import { escaped } from "../../log.ts";
import { askConductor, followConductor } from "../client.ts";
import { CliError, exitCode, type Invocation, wantsJson } from "../command.ts";
import { serverEvents } from "../event-stream.ts";
import { aPlugin, type PluginsAction, wholeNumberFlag } from "./action.ts";

interface LogRow {
  seq: number;
  at: string;
  stream: string;
  line: string;
}

const streamWidth = "stderr".length;

/** A line for a terminal. What the plugin wrote may hold commands to it: they are written out. */
const shown = ({ at, stream, line }: LogRow): string =>
  `${at} ${stream.padEnd(streamWidth)} ${line.split("\t").map(escaped).join("\t")}`;

const gone = (dropped: number): string =>
  `${dropped} ${dropped === 1 ? "line is" : "lines are"} not kept any more`;

export const logsAction: PluginsAction = {
  name: "logs",
  usage: "logs NAME [-f] [-n LINES]",
  takes: [aPlugin],
  flags: ["follow", "lines"],
  run: async (invocation, [plugin = ""]) => {
    const json = wantsJson(invocation);
    const lines = wholeNumberFlag(invocation, "lines", 0, 1_000) ?? 100;
    const path = `/api/v1/plugins/${encodeURIComponent(plugin)}/logs?lines=${lines}`;
    if (invocation.flags.follow) return follow(invocation, `${path}&follow=true`, json);
    const { terminal } = invocation;
    const answer = await askConductor<{ logs: LogRow[]; dropped: number }>(invocation, path);
    if (json) terminal.out(JSON.stringify(answer, null, 2));
    else {
      if (answer.dropped > 0) terminal.err(`conductor: ${gone(answer.dropped)}`);
      for (const row of answer.logs) terminal.out(shown(row));
    }
    return exitCode.ok;
  },
};

/** Prints until Ctrl-C (fine) or until the conductor ends (failed, since nobody asked for that). */
async function follow(invocation: Invocation, path: string, json: boolean): Promise<number> {
  const { terminal } = invocation;
  const interrupted = new AbortController();
  const onSignal = () => interrupted.abort();
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    const body = await followConductor(invocation, path, interrupted.signal);
    for await (const { event, data } of serverEvents(body)) {
      if (event === "log") terminal.out(json ? data : shown(JSON.parse(data) as LogRow));
      else if (event === "dropped")
        terminal.err(`conductor: ${gone((JSON.parse(data) as { dropped: number }).dropped)}`);
    }
  } catch (error) {
    if (interrupted.signal.aborted) return exitCode.ok;
    if (error instanceof CliError) throw error;
    // The connection broke: said below, as when it was closed.
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
  if (interrupted.signal.aborted) return exitCode.ok;
  throw new CliError("the conductor ended, or closed the connection; start it again to go on");
}
