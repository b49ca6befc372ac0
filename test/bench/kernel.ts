/**
 * The two forecast kernels side by side in one process: a push and a forecast on one series, in interleaved rounds so
 * that a busy machine slows both alike, and the medians.
 *
 *   bun test/bench/kernel.ts [-o json]
 */
import { parseArgs } from "node:util";
import type { Kernel } from "../../src/forecast/forecaster.ts";
import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { readEmbeddedModule } from "../../src/forecast/load-kernel.ts";
import { createWasmKernel } from "../../src/forecast/wasm-kernel.ts";

const windowPoints = 50;

/** Nanoseconds a call over the rounds: the median, and the quartiles as the spread. */
export interface Timing {
  medianNs: number;
  lowerQuartileNs: number;
  upperQuartileNs: number;
}

/** One measured operation; `ratio` is the median over rounds of JS / WASM, above 1 where WASM is faster. */
export interface KernelTiming {
  operation: "push" | "push + forecast";
  wasm: Timing;
  js: Timing;
  ratio: { median: number; lowerQuartile: number; upperQuartile: number };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}

function timing(rounds: readonly number[]): Timing {
  const sorted = rounds.toSorted((a, b) => a - b);
  return {
    medianNs: quantile(sorted, 0.5),
    lowerQuartileNs: quantile(sorted, 0.25),
    upperQuartileNs: quantile(sorted, 0.75),
  };
}

/** A pass of `calls` pushes on a series that lives through all rounds; answers nanoseconds a call. */
function passOn(kernel: Kernel, withForecast: boolean, calls: number): () => number {
  const series = kernel.createSeries({ windowPoints });
  const values = Float64Array.from({ length: 1024 }, (_, i) => 60 + ((i * 7919) % 1009) / 100);
  let tSeconds = 0;
  let sink = 0;
  return () => {
    const begin = Bun.nanoseconds();
    for (let i = 0; i < calls; i++) {
      tSeconds += 5;
      series.push(tSeconds, values[i & 1023] as number);
      if (withForecast) sink += series.forecast()?.upper ?? 0;
    }
    const elapsed = Bun.nanoseconds() - begin;
    if (!Number.isFinite(sink)) throw new Error("the forecasts were not finite");
    return elapsed / calls;
  };
}

/** Times both kernels. About 2 s with the defaults. */
export async function timeKernels({ rounds = 31, calls = 50_000 } = {}): Promise<KernelTiming[]> {
  const wasm = await createWasmKernel(await readEmbeddedModule());
  const js = createJsKernel();
  return (["push", "push + forecast"] as const).map((operation) => {
    const withForecast = operation === "push + forecast";
    const passes = { wasm: passOn(wasm, withForecast, calls), js: passOn(js, withForecast, calls) };
    for (let warm = 0; warm < 4; warm++) for (const pass of Object.values(passes)) pass();
    const measured = { wasm: [] as number[], js: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? (["wasm", "js"] as const) : (["js", "wasm"] as const);
      for (const name of order) measured[name].push(passes[name]());
    }
    const ratios = measured.js.map((ns, round) => ns / (measured.wasm[round] as number));
    const { medianNs, lowerQuartileNs, upperQuartileNs } = timing(ratios);
    return {
      operation,
      wasm: timing(measured.wasm),
      js: timing(measured.js),
      ratio: { median: medianNs, lowerQuartile: lowerQuartileNs, upperQuartile: upperQuartileNs },
    };
  });
}

function table(timings: readonly KernelTiming[]): string {
  const cell = ({ medianNs, lowerQuartileNs, upperQuartileNs }: Timing): string =>
    `${medianNs.toFixed(1)} (${lowerQuartileNs.toFixed(1)}..${upperQuartileNs.toFixed(1)})`;
  const rows = timings.map(({ operation, wasm, js, ratio }) => [
    operation,
    cell(wasm),
    cell(js),
    `${ratio.median.toFixed(2)} (${ratio.lowerQuartile.toFixed(2)}..${ratio.upperQuartile.toFixed(2)})`,
  ]);
  const all = [[`window of ${windowPoints}`, "wasm, ns", "js, ns", "js / wasm"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => (row[column] as string).length)));
  return all
    .map((row) => row.map((text, column) => text.padEnd(widths[column] as number)).join("  "))
    .join("\n");
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { output: { type: "string", short: "o", default: "table" } } });
  const timings = await timeKernels();
  console.log(
    values.output === "json"
      ? JSON.stringify(timings, null, 2)
      : `${table(timings)}\nmedian (quartiles) of interleaved rounds`,
  );
}
