/** bench on the executable: both kernels, what the numbers depend on, and what is said when they are not the usual ones. */

import { expect, setDefaultTimeout, test } from "bun:test";
import type { BenchResult } from "../../src/forecast/bench.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { executable } from "../e2e/running-conductor.ts";

/** It computes all the time: on a busy machine that takes several times as long. */
const timeoutMs = 60_000;
setDefaultTimeout(2 * timeoutMs);

const defer = cleanUpAfterEach();
const singleWindows = [8, 16, 50, 100, 300, 1000];
const batchSeries = [1, 16, 256, 1024, 4096, 16384, 65536];

test("times both kernels, single and in batches, and says on what", async () => {
  const cwd = scratchFolder(defer);
  const { code, out, err } = await conductor(["bench", "--quick", "-o", "json"], { cwd, timeoutMs });
  expect(code).toBe(0);
  expect(err).toMatch(
    /^1\/17 single, 1 series, window 8\n(\d+\/17 .*\n){15}17\/17 batch, 4096 series, .*\n$/,
  );
  const { results, ...facts } = JSON.parse(out) as { results: BenchResult[] };
  for (const kernel of ["wasm", "js"]) {
    const own = results.filter((result) => result.kernel === kernel);
    expect(own.filter(({ name }) => name === "single").map(({ window }) => window)).toEqual(singleWindows);
    const batches = own.filter(({ name, window }) => name === "batch" && window === 50);
    expect(batches.map(({ series }) => series)).toEqual(batchSeries);
  }
  for (const { kernel, nsPerOp, ratioToJs, spread } of results) {
    expect(nsPerOp).toBeGreaterThan(0);
    expect(spread).toBeGreaterThanOrEqual(0);
    if (kernel === "js") expect(ratioToJs).toBe(1);
    else expect(ratioToJs).toBeGreaterThan(0);
  }
  expect(facts).toMatchObject({
    fellBackBecause: null,
    runtime: `bun ${Bun.version}`,
    compilers: true,
    cores: expect.any(Number),
    durationMs: expect.any(Number),
  });
});

test("without WASM says why, and times JavaScript alone", async () => {
  const cwd = scratchFolder(defer);
  const environment = { BUN_JSC_useWasm: "0" };
  const { code, out, err } = await conductor(["bench", "--quick"], { cwd, environment, timeoutMs });
  expect(code).toBe(0);
  expect(err).toMatch(/^conductor: the WASM kernel did not start: .*; JavaScript alone is timed$/m);
  expect(out).toMatch(/^conductor \d.*, bun \d.*, \d+ cores?$/m);
  expect(out).toMatch(/^single +series 1 +window 50 +js +[\d.]+ ns +±\d+ % {2}1\.00 x js$/m);
  expect(out).not.toContain("wasm");
});

test("warns before it begins that the compilers are off", async () => {
  const child = Bun.spawn([executable, "bench", "--quick"], {
    cwd: scratchFolder(defer),
    env: { BUN_JSC_useJIT: "0" },
    stdout: "ignore",
    stderr: "pipe",
  });
  defer(() => child.kill("SIGKILL"));
  const { value } = await child.stderr.getReader().read();
  expect(new TextDecoder().decode(value)).toMatch(
    /^conductor: warning: the runtime's compilers are off, .*: run it without BUN_JSC_useJIT=0\n/,
  );
});
