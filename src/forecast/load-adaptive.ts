import type { AdaptiveKernel, AdaptiveSeries } from "./adaptive.ts";
import { createJsAdaptiveKernel, createWasmAdaptiveKernel, readAdaptiveModule } from "./adaptive-kernels.ts";

/** The kernel that runs, and why it is not the WASM one; null when it is, or when JS was asked for. */
export interface LoadedAdaptiveKernel {
  kernel: AdaptiveKernel;
  fellBackBecause: string | null;
}

/** What is compared: as little as gives every part of the forecaster a turn, since each start waits for it. */
const comparedPushes = 16;

/**
 * The WASM kernel, if it compiles and leaves the same bits in its memory as the JS kernel on a small corpus; else the
 * JS kernel with the reason. Never rejects.
 */
export async function loadAdaptiveKernel({
  use = "auto",
  readModule = readAdaptiveModule,
}: {
  use?: "auto" | "js";
  readModule?: () => Promise<ArrayBuffer>;
} = {}): Promise<LoadedAdaptiveKernel> {
  const js = createJsAdaptiveKernel();
  if (use === "js") return { kernel: js, fellBackBecause: null };
  try {
    const wasm = await createWasmAdaptiveKernel(await readModule());
    const difference = compareAdaptive(wasm, js);
    if (difference === null) return { kernel: wasm, fellBackBecause: null };
    return { kernel: js, fellBackBecause: `the WASM kernel failed its self-test: ${difference}` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kernel: js, fellBackBecause: `the WASM kernel did not start: ${reason}` };
  }
}

/** Names the first cell whose bits differ after the corpus, or null. */
export function compareAdaptive(candidate: AdaptiveKernel, reference: AdaptiveKernel): string | null {
  const options = { horizonSeconds: 300, threshold: 80, coldHalfWidth: 100 };
  const [one, other] = [candidate.createSeries(options), reference.createSeries(options)];
  for (const series of [one, other]) feed(series);
  const [bits, expected] = [one, other].map((series) => new BigInt64Array(series.save().buffer)) as [
    BigInt64Array,
    BigInt64Array,
  ];
  const differing = bits.findIndex((value, i) => value !== expected[i]);
  return differing < 0 ? null : `cell ${differing} differs after ${comparedPushes} points`;
}

/** Uneven steps of about the horizon, a climb, a stand-in for noise that is the same every time, a gap, a known step. */
function feed(series: AdaptiveSeries): void {
  for (let i = 0; i < comparedPushes; i++) {
    const tSeconds = 1.7e9 + i * 300 + (i % 3) / 7 + (i > 12 ? 2_000 : 0);
    const value = 40 + ((i * 7919 + 104729) % 1009) / 400 + i / 5;
    series.push(tSeconds, value, value + (i % 5) - 2);
    if (i === 11) series.shift(-5);
  }
  series.trend();
}
