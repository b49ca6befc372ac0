/**
 * The kernels' speed: a guarded push with its fit, forecast, average and interval (of one series its variance: reading it
 * takes the root), on one series and on batches, the WASM kernel beside the JS one.
 */
import { interleave, medianRatio, type Pass, type RoundsResult } from "./bench-rounds.ts";
import type { Kernel, Series } from "./forecaster.ts";

/** One line of the benchmark. */
export interface BenchResult {
  /** `single`: a push on one series. `batch`: a tick, divided by its series. */
  readonly name: "single" | "batch";
  readonly series: number;
  /** Points in the window. */
  readonly window: number;
  readonly kernel: string;
  readonly nsPerOp: number;
  /** How many times the JS kernel's time this one's is contained in it: above 1 is faster than JS. */
  readonly ratioToJs: number;
  /** Distance of the quartiles over the rounds, relative to the median. */
  readonly spread: number;
}

/** What is about to be timed, as number `index` (from 1) of `of`. */
export interface BenchSection {
  readonly name: BenchResult["name"];
  readonly series: number;
  readonly window: number;
  readonly index: number;
  readonly of: number;
}

export interface BenchOptions {
  /** A clock in nanoseconds. */
  readonly nowNs: () => number;
  /** Kernels to compare; the one named `js` is what the ratios are to. */
  readonly kernels: readonly Kernel[];
  /** Shares of the full length, above 0; 1 takes about 10 s. Default 1. */
  readonly effort?: number;
  /** Windows of the single series, and of batches of 4,096. Default 8 to 1,000. */
  readonly windows?: readonly number[];
  /** Series of batches of 50 points. Default 1 to 65,536. */
  readonly batches?: readonly number[];
  /** Told of each section before it begins, outside of what is timed. */
  readonly onSection?: (section: BenchSection) => void;
}

const defaultWindows = [8, 16, 50, 100, 300, 1000];
const defaultBatches = [1, 16, 256, 1024, 4096, 16384, 65536];
const usualWindow = 50;
const usualBatch = 4096;
const rounds = 31;
const pushesPerPass = 20_000;
const updatesPerPass = 400_000;
/** A batch of 4,096 series and more points than these takes too much memory for a bench on a small host. */
const mostBatchWindow = 300;

/** Runs the benchmark; it does nothing but compute, read `nowNs` and tell `onSection`. */
export function benchKernels(options: BenchOptions): { results: BenchResult[] } {
  const planned = sections(options);
  const results = planned.flatMap(({ name, series, window }, i) => {
    options.onSection?.({ name, series, window, index: i + 1, of: planned.length });
    return name === "single" ? benchSingle(options, window) : benchBatch(options, series, window);
  });
  return { results };
}

/** Windows of a single series, then numbers of series, then windows of a batch. */
function sections(options: BenchOptions): Pick<BenchSection, "name" | "series" | "window">[] {
  const { windows = defaultWindows, batches = defaultBatches } = options;
  const batchWindows = windows.filter((window) => window !== usualWindow && window <= mostBatchWindow);
  return [
    ...windows.map((window) => ({ name: "single" as const, series: 1, window })),
    ...batches.map((series) => ({ name: "batch" as const, series, window: usualWindow })),
    ...(batches.length === 0 ? [] : batchWindows).map((window) => ({
      name: "batch" as const,
      series: usualBatch,
      window,
    })),
  ];
}

/** One series of every kernel, pushed through its `Series`. */
export function benchSingle(options: BenchOptions, window: number): BenchResult[] {
  const { kernels, nowNs, effort = 1 } = options;
  const passes = kernels.map((kernel) => singlePass(kernel, window));
  const count = Math.max(window, Math.round(pushesPerPass * Math.min(1, effort)));
  const timings = interleave(passes, nowNs, {
    rounds: Math.max(5, Math.round(rounds * effort)),
    count,
    warmUp: 8,
  });
  return named("single", 1, window, kernels, timings);
}

/** A batch of every kernel; time a series and tick. Passes are whole windows long: each has its share of series that are summed afresh. */
export function benchBatch(
  options: BenchOptions,
  series: number,
  window: number,
  others: readonly { name: string; createBatch: Kernel["createBatch"] }[] = [],
): BenchResult[] {
  const { kernels, nowNs, effort = 1 } = options;
  const made = [...kernels, ...others];
  const passes = made.map((kernel) => batchPass(kernel.createBatch, series, window));
  const windows = Math.max(1, Math.round((updatesPerPass * Math.min(1, effort)) / series / window));
  const timings = interleave(passes, nowNs, {
    rounds: Math.max(5, Math.round((series * window > updatesPerPass ? 9 : rounds) * effort)),
    count: windows * window,
    warmUp: 3,
  });
  const perSeries = timings.map((timing) => ({ ...timing, medianNs: timing.medianNs / series }));
  return named("batch", series, window, made, perSeries);
}

function named(
  name: BenchResult["name"],
  series: number,
  window: number,
  kernels: readonly { name: string }[],
  timings: readonly RoundsResult[],
): BenchResult[] {
  const js = timings[kernels.findIndex((kernel) => kernel.name === "js")] ?? timings[0];
  return timings.map((timing, i) => ({
    name,
    series,
    window,
    kernel: kernels[i]?.name ?? "",
    nsPerOp: timing.medianNs,
    ratioToJs: js ? medianRatio(js, timing) : 1,
    spread: timing.spread,
  }));
}

/** Sets of values that the ticks of a batch take in turn; a power of two. */
const sampleKinds = 16;

/** Percentages that look like noise and are the same in every run; a power of two of them. */
const noise = Float64Array.from({ length: 1024 }, (_, i) => 60 + ((i * 7919) % 1009) / 100);

/**
 * Pushes on one series that lives through all passes. Either kernel has a loop of its own, as in a program that runs
 * one of them: in a shared loop the engine could inline neither.
 */
export function singlePass(kernel: Kernel, windowPoints: number): Pass {
  const series = kernel.createSeries({ windowPoints });
  return kernel.name === "wasm" ? pushesOnWasm(series) : pushesOnJs(series);
}

function pushesOnWasm(series: Series): Pass {
  let tSeconds = 0;
  return (count) => {
    for (let i = 0; i < count; i++) {
      tSeconds += 5;
      series.push(tSeconds, noise[i & 1023] as number);
    }
  };
}

function pushesOnJs(series: Series): Pass {
  let tSeconds = 0;
  return (count) => {
    for (let i = 0; i < count; i++) {
      tSeconds += 5;
      series.push(tSeconds, noise[i & 1023] as number);
    }
  };
}

/** Each tick is given other values, copied into the batch's memory: whoever samples them has to write them too. */
function batchPass(createBatch: Kernel["createBatch"], series: number, windowPoints: number): Pass {
  const batch = createBatch({ series, windowPoints });
  const source = Float64Array.from(
    { length: series + sampleKinds },
    (_, i) => noise[(i * 31) & 1023] as number,
  );
  const samples = Array.from({ length: sampleKinds }, (_, i) => source.subarray(i, i + series));
  let tSeconds = 0;
  return (count) => {
    for (let tick = 0; tick < count; tick++) {
      tSeconds += 5;
      batch.values.set(samples[tick & (sampleKinds - 1)] as Float64Array);
      batch.tick(tSeconds);
    }
  };
}
