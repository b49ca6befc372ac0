/**
 * The forecast kernels beside each other, beside libraries that a user might pick, and beside a C loop.
 *
 *   bun test/bench/kernel.ts [-o json] [--effort 0.2]
 *
 * `single` is a push on one series with its fit, forecast, average and the interval's variance, whose root is taken at
 * reading; the libraries fit the same window of 50 points and nothing else. `batch` is a tick of many series, with the
 * whole interval, divided by their number, with the copying of the values.
 */
import { parseArgs } from "node:util";
import { SimpleLinearRegression } from "ml-regression-simple-linear";
import { linearRegression } from "simple-statistics";
import { type BenchResult, benchBatch, benchKernels, singlePass } from "../../src/forecast/bench.ts";
import { interleave, medianRatio, type Pass } from "../../src/forecast/bench-rounds.ts";
import { benchLegend, benchLines, timeColumns } from "../../src/forecast/bench-table.ts";
import type { Kernel } from "../../src/forecast/forecaster.ts";
import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { readEmbeddedModule } from "../../src/forecast/load-kernel.ts";
import { createWasmKernel } from "../../src/forecast/wasm-kernel.ts";
import { buildCLoop, compilerFlags } from "./c-loop.ts";

const points = 50;
const nowNs = (): number => Bun.nanoseconds();

/** A library's fit of the last 50 points, against a push on each kernel; `timesSlower` is against the WASM kernel. */
export interface PeerResult {
  name: string;
  nsPerOp: number;
  spread: number;
  timesSlower: number;
}

/** The C loop's tick of 50 points; `wasmRatio` is the WASM kernel's time over its own. */
export interface CLoopResult {
  series: number;
  nsPerOp: number;
  spread: number;
  wasmRatio: number;
}

function benchPeers(kernels: readonly Kernel[], effort: number): PeerResult[] {
  const pairs = Array.from({ length: points }, (_, i) => [i * 5 + 0.25, 60 + ((i * 7919) % 1009) / 100]);
  const x = pairs.map(([t]) => t as number);
  const y = pairs.map(([, value]) => value as number);
  let sink = 0;
  // A loop of its own for each: in a shared one none would be inlined.
  const peers: [string, Pass][] = [
    [
      "simple-statistics",
      (count) => {
        for (let i = 0; i < count; i++) sink += linearRegression(pairs).m;
      },
    ],
    [
      "ml-regression-simple-linear",
      (count) => {
        for (let i = 0; i < count; i++) sink += new SimpleLinearRegression(x, y).slope;
      },
    ],
  ];
  const pushes = kernels.map((kernel): [string, Pass] => [kernel.name, singlePass(kernel, points)]);
  const all = [...pushes, ...peers];
  const options = { rounds: Math.max(5, Math.round(31 * effort)), count: 20_000, warmUp: 8 };
  const timings = interleave(
    all.map(([, pass]) => pass),
    nowNs,
    options,
  );
  if (!Number.isFinite(sink)) throw new Error("a peer's fit is not finite");
  const wasm = timings[kernels.findIndex((kernel) => kernel.name === "wasm")];
  return timings.map((timing, i) => ({
    name: all[i]?.[0] ?? "",
    nsPerOp: timing.medianNs,
    spread: timing.spread,
    timesSlower: wasm ? medianRatio(timing, wasm) : 1,
  }));
}

function benchCLoop(kernels: readonly Kernel[], effort: number): CLoopResult[] {
  const createBatch = buildCLoop();
  if (createBatch === null) return [];
  return [256, 1024, 4096].map((series) => {
    const results = benchBatch({ kernels, nowNs, effort }, series, points, [{ name: "c", createBatch }]);
    const [wasm, c] = ["wasm", "c"].map((name) => results.find(({ kernel }) => kernel === name));
    if (!wasm || !c) throw new Error("the C loop was not timed");
    return { series, nsPerOp: c.nsPerOp, spread: c.spread, wasmRatio: c.ratioToJs / wasm.ratioToJs };
  });
}

function table(
  results: readonly BenchResult[],
  peers: readonly PeerResult[],
  c: readonly CLoopResult[],
): string {
  const peerLines = peers.map(
    ({ name, nsPerOp, spread, timesSlower }) =>
      `${name.padEnd(28)}${timeColumns(nsPerOp, spread, 1)}  ${timesSlower.toFixed(2)} x wasm`,
  );
  const cLines = c.map(
    ({ series, nsPerOp, spread, wasmRatio }) =>
      `${String(series).padEnd(8)}${timeColumns(nsPerOp, spread)}  wasm takes ${wasmRatio.toFixed(2)} x`,
  );
  return [
    ...benchLines(results),
    `\none window of ${points} points: a push here, only a fit there`,
    ...peerLines,
    ...(cLines.length > 0 ? [`\nthe batch as a C loop (cc ${compilerFlags.join(" ")})`, ...cLines] : []),
    `\n${benchLegend}`,
  ].join("\n");
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      output: { type: "string", short: "o", default: "table" },
      effort: { type: "string", default: "1" },
    },
  });
  const effort = Number(values.effort);
  const kernels = [await createWasmKernel(await readEmbeddedModule()), createJsKernel()];
  const { results } = benchKernels({ kernels, nowNs, effort });
  const peers = benchPeers(kernels, effort);
  const cLoop = benchCLoop(kernels, effort);
  console.log(
    values.output === "json"
      ? JSON.stringify({ results, peers, cLoop }, null, 2)
      : table(results, peers, cLoop),
  );
}
