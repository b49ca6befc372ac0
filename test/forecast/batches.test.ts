import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { readEmbeddedModule } from "../../src/forecast/load-kernel.ts";
import { createWasmKernel } from "../../src/forecast/wasm-kernel.ts";
import { batchContract } from "./batch-contract.ts";

batchContract("js", async () => createJsKernel());
batchContract("wasm", async () => createWasmKernel(await readEmbeddedModule()));
