/** `conductor plugins logs`: what a plugin wrote last, and with -f what it writes from then on. */

import { escaped } from "../../log.ts";
import { askConductor } from "../client.ts";
import { exitCode, wantsJson } from "../command.ts";
import { follow } from "../follow.ts";
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
    const { terminal } = invocation;
    if (invocation.flags.follow)
      return follow(invocation, `${path}&follow=true`, ({ event, data }) => {
        if (event === "log") terminal.out(json ? data : shown(JSON.parse(data) as LogRow));
        else if (event === "dropped")
          terminal.err(`conductor: ${gone((JSON.parse(data) as { dropped: number }).dropped)}`);
      });
    const answer = await askConductor<{ logs: LogRow[]; dropped: number }>(invocation, path);
    if (json) terminal.out(JSON.stringify(answer, null, 2));
    else {
      if (answer.dropped > 0) terminal.err(`conductor: ${gone(answer.dropped)}`);
      for (const row of answer.logs) terminal.out(shown(row));
    }
    return exitCode.ok;
  },
};
