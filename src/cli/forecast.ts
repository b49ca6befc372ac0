import { formatPercent } from "../config/units.ts";
import { askConductor } from "./client.ts";
import { type Command, configOption, exitCode, outputOption, wantsJson } from "./command.ts";

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
  usage: "conductor forecast [-o json]",
  options: { ...configOption, ...outputOption },
  positionals: 0,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const view = await askConductor<ForecastView>(invocation, "/api/v1/forecast");
    invocation.terminal.out(json ? JSON.stringify(view, null, 2) : describe(view));
    return exitCode.ok;
  },
};

function describe({ memory, kernel }: ForecastView): string {
  if (!memory) return "no forecast yet: memory has not been sampled";
  const percent = (value: number) => formatPercent(value / 100);
  return [
    `at ${memory.targetAt}: ${percent(memory.smoothed)} of the budget`,
    `95 % interval ${percent(memory.lower)} to ${percent(memory.upper)}`,
    `slope ${(memory.slopePerMinute).toFixed(3)} points a minute, from ${memory.points} samples (${memory.state}, ${kernel} kernel)`,
  ].join("\n");
}
