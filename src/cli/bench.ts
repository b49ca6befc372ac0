import { availableParallelism, cpus } from "node:os";
import { type BenchSection, benchKernels } from "../forecast/bench.ts";
import { benchLegend, benchLines } from "../forecast/bench-table.ts";
import type { Kernel } from "../forecast/forecaster.ts";
import { createJsKernel } from "../forecast/js-kernel.ts";
import { loadKernel } from "../forecast/load-kernel.ts";
import { commit, version } from "../version.ts";
import { type Command, exitCode, outputOption, type Terminal, wantsJson } from "./command.ts";
import { compilersOn, compilerWarning } from "./compilers.ts";

const quickEffort = 0.2;

/** `conductor bench`: how fast the forecast kernels are on this machine. */
export const benchCommand: Command = {
  name: "bench",
  summary: "Time the forecast kernels on this machine, WASM beside JavaScript",
  usage: "conductor bench [--quick] [-o json]",
  options: {
    quick: { type: "boolean", help: "Fewer and shorter rounds: 2 s instead of 10, and less certain" },
    ...outputOption,
  },
  positionals: 0,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const { terminal, environment, flags } = invocation;
    const warning = compilerWarning(environment);
    if (warning !== null) terminal.err(warning);
    const { kernel, fellBackBecause } = await loadKernel();
    if (fellBackBecause !== null) terminal.err(`conductor: ${fellBackBecause}; JavaScript alone is timed`);
    const kernels: Kernel[] = fellBackBecause === null ? [kernel, createJsKernel()] : [kernel];
    const effort = flags.quick ? quickEffort : 1;
    const beginNs = Bun.nanoseconds();
    const { results } = benchKernels({
      kernels,
      effort,
      nowNs: () => Bun.nanoseconds(),
      onSection: (section) => announce(section, terminal),
    });
    if (terminal.isTerminal) terminal.redraw("");
    const facts = {
      ...machine(),
      compilers: compilersOn(),
      effort,
      durationMs: (Bun.nanoseconds() - beginNs) / 1e6,
    };
    if (json) terminal.out(JSON.stringify({ results, fellBackBecause, ...facts }, null, 2));
    else terminal.out([heading(facts), "", ...benchLines(results), "", ...legend].join("\n"));
    return exitCode.ok;
  },
};

const legend = [
  "single: a push on one series, with its fit, forecast, average and interval",
  "batch: a tick of many series, divided by their number, with the copying of the values",
  "x js: how many times as fast as the JavaScript kernel",
  benchLegend,
];

/** In place on a terminal; elsewhere a line a section, so that a log shows that it moves. */
function announce({ name, series, window, index, of }: BenchSection, terminal: Terminal): void {
  const text = `${index}/${of} ${name}, ${series} series, window ${window}`;
  if (terminal.isTerminal) terminal.redraw(text);
  else terminal.err(text);
}

/** What the numbers depend on beside the program. */
function machine() {
  return {
    conductor: `${version} (${commit})`,
    runtime: `bun ${Bun.version}`,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model.trim() || null,
    cores: availableParallelism(),
  };
}

function heading({ conductor, runtime, platform, cpu, cores }: ReturnType<typeof machine>): string {
  const count = `${cores} ${cores === 1 ? "core" : "cores"}`;
  return `conductor ${conductor}, ${runtime}, ${platform}, ${cpu ?? "unknown CPU"}, ${count}`;
}
