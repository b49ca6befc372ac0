import { formatDuration, formatPercent } from "../config/units.ts";
import { askConductor } from "./client.ts";
import { type Command, exitCode, outputOption, serverOption, wantsJson } from "./command.ts";

interface ForecastView {
  kernel: string;
  horizonSeconds: number;
  memory: {
    state: string;
    points: number;
    at: string;
    targetAt: string;
    value: number;
    smoothed: number;
    lower: number;
    upper: number;
    slopePerMinute: number;
  } | null;
}

/** `conductor forecast`: what the running conductor expects of memory. */
export const forecastCommand: Command = {
  name: "forecast",
  summary: "Show the memory forecast of the running conductor",
  usage: "conductor forecast [--port PORT] [-o json]",
  options: { ...serverOption, ...outputOption },
  positionals: 0,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const view = await askConductor<ForecastView>(invocation, "/api/v1/forecast");
    invocation.terminal.out(json ? JSON.stringify(view, null, 2) : describe(view));
    return exitCode.ok;
  },
};

function describe({ memory, kernel, horizonSeconds }: ForecastView): string {
  if (!memory) return "no forecast yet: memory has not been sampled";
  const percent = (value: number) => formatPercent(value / 100);
  return [
    `in ${formatDuration(horizonSeconds * 1_000)}  ${percent(memory.smoothed)} of the budget, at ${memory.targetAt}`,
    `interval  ${percent(memory.lower)} to ${percent(memory.upper)} (95 %)`,
    `slope     ${memory.slopePerMinute.toFixed(3)} % of the budget a minute`,
    `based on  ${memory.points} ${memory.points === 1 ? "sample" : "samples"}${memory.state === "cold" ? ": too few for a forecast yet, so it repeats the last value with a wide interval" : ""} (${kernel} kernel)`,
  ].join("\n");
}
