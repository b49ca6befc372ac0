/** The adaptive forecaster's two kernels: the same source, run as TypeScript or compiled to WASM. */

import { moveClock, push, shift, start } from "../../assembly/adaptive/forecaster.ts";
import { CELLS, LAYOUT_VERSION } from "../../assembly/adaptive/layout.ts";
import { measureTrend } from "../../assembly/adaptive/trend.ts";
import embeddedModule from "../../dist/adaptive.wasm" with { type: "file" };
import type { AdaptiveKernel } from "./adaptive.ts";
import { MemoryAdaptiveSeries } from "./adaptive-series.ts";

// The name by which the source asks which of the two it is: 0, JavaScript.
Object.assign(globalThis, { ASC_TARGET: 0 });

/** The exports of `assembly/adaptive/index.ts`. */
interface ModuleExports {
  memory: WebAssembly.Memory;
  layoutVersion(): number;
  cellCount(): number;
  cellsOffset(): number;
  startForecaster(): void;
  pushPoint(tSeconds: number, value: number, line: number): number;
  shiftLevel(step: number): void;
  shiftTimes(seconds: number): void;
  updateTrend(): void;
}

/** The module that the build embedded; when running from source, `dist/adaptive.wasm`. */
export function readAdaptiveModule(): Promise<ArrayBuffer> {
  return Bun.file(embeddedModule).arrayBuffer();
}

export function createJsAdaptiveKernel(): AdaptiveKernel {
  return {
    name: "js",
    createSeries: (options) => {
      const cells = new Float64Array(CELLS);
      return new MemoryAdaptiveSeries("js", options, {
        cells,
        start: () => start(cells),
        push: (tSeconds, value, line) => push(cells, tSeconds, value, line),
        shift: (step) => shift(cells, step),
        moveClock: (seconds) => moveClock(cells, seconds),
        measureTrend: () => measureTrend(cells),
      });
    },
  };
}

/**
 * Compiles the module; each series has an instance of its own. Rejects when the bytes are not a module that this engine
 * compiles, or when their memory has another layout.
 */
export async function createWasmAdaptiveKernel(bytes: ArrayBuffer): Promise<AdaptiveKernel> {
  const module = await WebAssembly.compile(bytes);
  const instantiate = () => new WebAssembly.Instance(module, {}).exports as unknown as ModuleExports;
  const { layoutVersion, cellCount } = instantiate();
  const found = typeof layoutVersion === "function" ? layoutVersion() : "none";
  if (found !== LAYOUT_VERSION || cellCount() !== CELLS)
    throw new Error(`the adaptive kernel has layout ${found}, not ${LAYOUT_VERSION}: rebuild it`);
  return {
    name: "wasm",
    createSeries: (options) => {
      const exports = instantiate();
      return new MemoryAdaptiveSeries("wasm", options, {
        cells: new Float64Array(exports.memory.buffer, exports.cellsOffset(), CELLS),
        start: exports.startForecaster,
        push: exports.pushPoint,
        shift: exports.shiftLevel,
        moveClock: exports.shiftTimes,
        measureTrend: exports.updateTrend,
      });
    },
  };
}
