/** On recorded memory the adaptive forecaster is better than what it mixes, by margins that are not to be lost again. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Kernel } from "../../src/forecast/forecaster.ts";
import { scoreMethods } from "../../src/forecast/score.ts";
import { scoreRatios } from "../../src/forecast/score-summary.ts";
import { scoredMethods } from "../../src/forecast/scored-methods.ts";
import { readTrace } from "../../src/replay/trace.ts";
import { wasmAdaptive } from "./adaptive-streams.ts";
import { bothKernels } from "./kernels.ts";

const traces = ["smd", "exathlon"].map((name) => join(import.meta.dir, `../../../shared/traces/${name}.csv`));

test.skipIf(!traces.every((path) => existsSync(path)))("recorded traces, all points together", async () => {
  const [, wasm] = (await bothKernels()) as [Kernel, Kernel];
  const series = traces
    .flatMap((path) => readTrace(path))
    .map(({ memPercent, ...rest }) => ({ ...rest, values: memPercent }));
  const report = scoreMethods(series, {
    methods: scoredMethods(wasm, wasmAdaptive),
    horizonSeconds: 300,
    nowNs: () => 0,
  });
  const { maeToOlsEma, maeToLast, winklerToOls } = scoreRatios(report).adaptive ?? {};
  const { coverage, n } = report.overall.adaptive ?? {};
  expect(n).toBe(194_984);
  expect(maeToOlsEma).toBeLessThan(0.69);
  expect(maeToLast).toBeLessThan(0.618);
  expect(winklerToOls).toBeLessThan(0.7);
  expect(coverage).toBeGreaterThan(0.945);
  expect(coverage).toBeLessThan(0.955);
});
