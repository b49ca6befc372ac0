import type { BenchResult } from "./bench.ts";

/** Half the distance of the quartiles, relative to the median: "±3 %". */
export const formatSpread = (spread: number): string => `±${(spread * 50).toFixed(0)} %`;

/** Nanoseconds and spread in columns of fixed width, as every line of a bench of kernels has them. */
export function timeColumns(nsPerOp: number, spread: number, digits = 2): string {
  return `${nsPerOp.toFixed(digits).padStart(8)} ns ${formatSpread(spread).padStart(6)}`;
}

/** What the columns of a bench of kernels mean. */
export const benchLegend = "medians of interleaved rounds; ±: half the distance of the quartiles";

/** The results of `benchKernels`, a line each. */
export function benchLines(results: readonly BenchResult[]): string[] {
  return results.map(
    ({ name, series, window, kernel, nsPerOp, ratioToJs, spread }) =>
      `${name.padEnd(7)} series ${String(series).padEnd(6)} window ${String(window).padEnd(5)} ${kernel.padEnd(5)}` +
      `${timeColumns(nsPerOp, spread)}  ${ratioToJs.toFixed(2)} x js`,
  );
}
