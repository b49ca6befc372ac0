import embeddedKernel from "../../dist/kernel.wasm" with { type: "file" };
import type { Kernel } from "./forecaster.ts";
import { createJsKernel } from "./js-kernel.ts";
import { compareKernels } from "./self-test.ts";
import { defaultSeriesLimit } from "./series-options.ts";
import { createWasmKernel } from "./wasm-kernel.ts";

/** What `loadKernel` may be told. */
export interface KernelChoice {
  /** `auto`: WASM where it starts and passes its test. `js`: do not try. Default `auto`. */
  use?: "auto" | "js";
  /** Series that the kernel holds, 1..4096. Default 256. */
  seriesLimit?: number;
  /** Reads the WASM module; default: the one built into the executable. */
  readModule?: () => Promise<ArrayBuffer>;
}

/** The kernel that runs, and why it is not the WASM one; null when it is, or when JS was asked for. */
export interface LoadedKernel {
  kernel: Kernel;
  fellBackBecause: string | null;
}

/**
 * The WASM kernel, if it compiles and gives the same bits as the JS kernel on a small corpus; else the JS kernel with
 * the reason: a forecast from the slower kernel beats none. Rejects with a `RangeError` for a `seriesLimit` outside its
 * limits, and for nothing else.
 */
export async function loadKernel(choice: KernelChoice = {}): Promise<LoadedKernel> {
  const { use = "auto", seriesLimit = defaultSeriesLimit, readModule = readEmbeddedModule } = choice;
  const js = createJsKernel({ seriesLimit });
  if (use === "js") return { kernel: js, fellBackBecause: null };
  try {
    const wasm = await createWasmKernel(await readModule(), { seriesLimit });
    const difference = compareKernels(wasm, js);
    if (difference === null) return { kernel: wasm, fellBackBecause: null };
    return { kernel: js, fellBackBecause: `the WASM kernel failed its self-test: ${difference}` };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kernel: js, fellBackBecause: `the WASM kernel did not start: ${reason}` };
  }
}

/** The module that the build embedded; when running from source, `dist/kernel.wasm`. */
export function readEmbeddedModule(): Promise<ArrayBuffer> {
  return Bun.file(embeddedKernel).arrayBuffer();
}
