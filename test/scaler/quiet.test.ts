import { expect, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";
import { between, unitOf } from "../../src/replay/seeded.ts";
import { decide } from "../../src/scaler/decide.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import { isQuiet } from "../../src/scaler/quiet.ts";
import type { ForecastFacts, PluginFacts, Policy, Situation } from "../../src/scaler/situation.ts";

const MiB = 2 ** 20;
const budgetBytes = 1_000 * MiB;
const seed = 20_261_201;
const states: readonly PluginFacts["state"][] = ["running", "starting", "shed", "blocked", "absent"];

/** A moment on a host, different for each `index`, and often near a line. */
function moment(index: number, { shedRatio }: Policy): { situation: Situation; forecast: ForecastFacts } {
  const chance = (key: number) => unitOf(seed, index, key);
  const usedRatio = chance(1) < 0.5 ? chance(2) * 1.05 : between(chance(2), [shedRatio - 0.12, 1]);
  const plugins = ["voice", "android", "discord", "stubs"].map((name, place): PluginFacts => {
    const state = chance(20 + place) < 0.5 ? "running" : states[Math.floor(chance(30 + place) * 5)];
    const held = state === "running" || state === "starting";
    return {
      name,
      state: state ?? "running",
      footprintBytes: held ? chance(40 + place) * 200 * MiB : null,
      learnedBytes: chance(50 + place) * 100 * MiB,
      startBytes: chance(60 + place) * 50 * MiB,
    };
  });
  const nowMs = 1_000_000;
  const situation: Situation = {
    nowMs,
    measured: { usedBytes: usedRatio * budgetBytes, budgetBytes },
    plugins,
    shedding: chance(3) < 0.2,
    lastChangeMs: chance(4) < 0.3 ? null : nowMs - chance(5) * 60_000,
    growthPerSecond: chance(6) < 0.5 ? 0 : chance(7) * 200 * MiB,
    reclaimMs: 1 + chance(8) * 2_000,
    reservedBytes: chance(9) * 50 * MiB,
    stallPercent: chance(10) < 0.8 ? 0 : chance(11) * 30,
    load: { perSecond: 5, recentPerSecond: chance(12) * 10, usualPerSecond: 3, rising: chance(13) < 0.5 },
    ...(chance(14) < 0.2 ? { ahead: { riseRatio: chance(15) * 0.3, atMs: nowMs } } : {}),
  };
  const valueRatio = chance(16) * 1.2;
  const forecast: ForecastFacts = {
    state: chance(17) < 0.8 ? "ready" : "cold",
    atMs: nowMs,
    valueRatio,
    smoothedRatio: valueRatio,
    lowerRatio: valueRatio - 0.1,
    upperRatio: valueRatio + 0.1,
    calibration: chance(18) < 0.7 ? "calibrated" : "calibrating",
  };
  return { situation, forecast };
}

test.each(["mission", "adaptive"] as const)(
  "%s: where a reading is quiet, decide holds with the plugins, and where it is not, it mostly has something to say",
  (name) => {
    console.log(`seed ${seed}`);
    const policy = policyOf(configSchema.parse({ scaler: { policy: name } }).scaler);
    const counts = { quiet: 0, acted: 0, missed: 0 };
    for (let index = 0; index < 20_000; index++) {
      const { situation, forecast } = moment(index, policy);
      const { plugins, ...host } = situation;
      const hasShed = () => plugins.some(({ state }) => state === "shed");
      const quiet = isQuiet({ ...host, plugins: [] }, forecast, policy, hasShed);
      // A plugin that starts takes the pace away, as the controller does it.
      const starting = plugins.some(({ state }) => state === "starting");
      const seen = starting ? { ...situation, growthPerSecond: 0 } : situation;
      const { actions } = decide(seen, forecast, policy);
      if (quiet) expect([index, actions]).toEqual([index, []]);
      if (quiet) counts.quiet++;
      else if (actions.length > 0) counts.acted++;
      else counts.missed++;
    }
    expect(counts.quiet).toBeGreaterThan(4_000);
    expect(counts.acted).toBeGreaterThan(2_000);
    // The others: the plugin does not fit, or nothing is left to shed.
    expect(counts.missed).toBeLessThan(6_000);
  },
);
