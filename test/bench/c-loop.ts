/** A batch on the C loop of `batch.c`, built with `cc` where there is one: what this machine's compiler makes of it. */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Batch, resolveBatchOptions } from "../../src/forecast/batch.ts";
import { batchMemory, boundedBatchLayout } from "../../src/forecast/batch-layout.ts";
import { BatchSeries } from "../../src/forecast/batch-series.ts";
import type { SeriesOptions } from "../../src/forecast/forecaster.ts";

/** What the C loop is built with; no contraction, so that it rounds as the others do. `-mavx` gives it the encodings that the engine uses; the vectors stay at 128 bits, as in WASM. */
export const compilerFlags = ["-O2", "-mavx", "-ffp-contract=off", "-shared", "-fPIC"];

export type CreateBatch = (options: Partial<SeriesOptions> & { series: number }) => Batch;

/** Makes batches whose tick is the C loop; null, with the reason on stderr, where it cannot be built. */
export function buildCLoop(): CreateBatch | null {
  const compiler = Bun.which("cc");
  if (compiler === null || process.arch !== "x64") {
    console.error("no C loop to compare with: it takes cc on x86-64");
    return null;
  }
  const library = join(mkdtempSync(join(tmpdir(), "conductor-bench-")), "batch.so");
  const built = Bun.spawnSync([
    compiler,
    ...compilerFlags,
    "-o",
    library,
    join(import.meta.dir, "batch.c"),
    "-lm",
  ]);
  if (!built.success) {
    console.error(`no C loop to compare with: ${built.stderr.toString().trim()}`);
    return null;
  }
  const { symbols } = dlopen(library, { tick: { args: [FFIType.ptr], returns: FFIType.i32 } });
  return (options) => {
    const resolved = resolveBatchOptions(options);
    const layout = boundedBatchLayout(resolved.series, resolved.windowPoints);
    const buffer = new ArrayBuffer(Math.ceil(layout.bytes / 8) * 8);
    const address = ptr(new Uint8Array(buffer));
    return new BatchSeries("js", resolved, batchMemory(layout, buffer), () => symbols.tick(address));
  };
}
