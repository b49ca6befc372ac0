/** Both kernels of the forecast, for a command that computes. */

import { loadAdaptiveKernel } from "../forecast/load-adaptive.ts";
import { loadKernel } from "../forecast/load-kernel.ts";
import type { Kernels } from "./policy-runner.ts";

/** WASM where it starts and passes its test, else JavaScript with the reason. */
export async function loadKernels(
  use: "auto" | "js" = "auto",
): Promise<{ kernels: Kernels; name: string; fellBackBecause: string | null }> {
  const lines = await loadKernel({ use });
  const mixes = await loadAdaptiveKernel({ use });
  return {
    kernels: { kernel: lines.kernel, adaptive: mixes.kernel },
    name: lines.kernel.name,
    fellBackBecause: lines.fellBackBecause ?? mixes.fellBackBecause,
  };
}
