import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { readEmbeddedModule } from "../../src/forecast/load-kernel.ts";
import { createWasmKernel } from "../../src/forecast/wasm-kernel.ts";
import { kernelContract } from "./kernel-contract.ts";

const limited = (seriesLimit?: number) => (seriesLimit === undefined ? {} : { seriesLimit });

kernelContract("js", async (seriesLimit) => createJsKernel(limited(seriesLimit)));
kernelContract("wasm", async (seriesLimit) =>
  createWasmKernel(await readEmbeddedModule(), limited(seriesLimit)),
);
