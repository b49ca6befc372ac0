/**
 * What shadow policies add to a reading: none, one and four, beside an acting policy that holds; when calm, and when each of
 * them would shed all the time. With 4 and with 20 plugins. Medians over rounds, microseconds a reading.
 *
 *   BUN_JSC_useDFGJIT=0 bun test/bench/shadows.ts [-o json]      (as conductor runs)
 */
import { parseArgs } from "node:util";
import { scaler } from "../../src/config/scaler-schema.ts";
import { Controller } from "../../src/scaler/controller.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import { Shadows } from "../../src/scaler/shadows.ts";
import type { ForecastFacts, PluginFacts } from "../../src/scaler/situation.ts";

const MiB = 2 ** 20;
const rounds = 30;
const readings = 2_000;
/** A hundredth of the shortest time between readings, 50 ms. */
const aimUs = 500;

interface Timing {
  scenario: string;
  plugins: number;
  shadows: number;
  medianUs: number;
  slowestUs: number;
}

const pluginsOf = (count: number): PluginFacts[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `plugin-${index}`,
    state: "running",
    footprintBytes: 100 * MiB,
    learnedBytes: 110 * MiB,
    requires: index > 0 && index % 4 === 0 ? [`plugin-${index - 1}`] : [],
    startBytes: 40 * MiB,
    growthPerSecond: 1_000,
  }));

const forecast: ForecastFacts = {
  state: "ready",
  atMs: 0,
  valueRatio: 0.7,
  smoothedRatio: 0.7,
  lowerRatio: 0.65,
  upperRatio: 0.75,
  calibration: "calibrated",
};

function measure(scenario: "calm" | "differs", plugins: number, count: number): Timing {
  const facts = pluginsOf(plugins);
  const order = facts.map(({ name }) => name);
  const acting = new Controller(policyOf(scaler.parse({ order, shed: "85%" })));
  const shadows = new Shadows({
    differs: () => 1,
    ended: () => undefined,
    counted: () => undefined,
    failed: (_, error) => {
      throw error;
    },
  });
  const own = scenario === "calm" ? { policy: "adaptive" } : { shed: "60%", restore: "50%" };
  const policy = policyOf(scaler.parse({ order, ...own }));
  shadows.use(Array.from({ length: count }, (_, index) => ({ name: `s${index}`, policy })));
  let nowMs = 1_000_000;
  const read = () => {
    nowMs += 50;
    const measured = { usedBytes: 7_500 * MiB + (nowMs % 1_000), budgetBytes: 10_000 * MiB };
    acting.observe(measured, nowMs);
    const verdict = acting.decide(acting.situation(nowMs, measured, facts), forecast);
    shadows.judge({ nowMs, measured, plugins: facts, reservedBytes: 0, forecast, verdict, acts: true });
  };
  const timed = (): number => {
    const begin = Bun.nanoseconds();
    for (let i = 0; i < readings; i++) read();
    return (Bun.nanoseconds() - begin) / readings / 1_000;
  };
  timed();
  const times = Array.from({ length: rounds }, timed).sort((a, b) => a - b);
  return {
    scenario,
    plugins,
    shadows: count,
    medianUs: times[times.length >> 1] ?? 0,
    slowestUs: times.at(-1) ?? 0,
  };
}

const { values } = parseArgs({ options: { output: { type: "string", short: "o" } } });
const timings = [4, 20].flatMap((plugins) =>
  (["calm", "differs"] as const).flatMap((scenario) =>
    [0, 1, 4].map((count) => measure(scenario, plugins, count)),
  ),
);
if (values.output === "json") console.log(JSON.stringify({ aimUs, timings }, null, 2));
else {
  for (const { scenario, plugins, shadows, medianUs, slowestUs } of timings)
    console.log(
      `${scenario.padEnd(8)} ${String(plugins).padStart(3)} plugins, ${shadows} shadows: ${medianUs.toFixed(1)} us a reading (slowest round ${slowestUs.toFixed(1)})`,
    );
  const over = timings.filter(({ medianUs }) => medianUs > aimUs);
  console.log(over.length === 0 ? `all within ${aimUs} us` : `over ${aimUs} us: ${over.length}`);
}
