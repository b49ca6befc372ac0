import { describe, expect, test } from "bun:test";
import { ForecastFeed } from "../../src/conductor/forecast-feed.ts";
import { createJsAdaptiveKernel } from "../../src/forecast/adaptive-kernels.ts";
import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { type ForecastMethod, MemoryForecast } from "../../src/forecast/memory-forecast.ts";
import { createForecaster } from "../../src/forecast/named-series.ts";
import type { Sample } from "../../src/monitor/sample.ts";
import { SampleWindow } from "../../src/monitor/window.ts";

const MiB = 2 ** 20;

function feeding(method: ForecastMethod = "ols") {
  const window = new SampleWindow(60);
  const mix = createJsAdaptiveKernel().createSeries({
    horizonSeconds: 300,
    threshold: 80,
    coldHalfWidth: 100,
  });
  const forecast = new MemoryForecast(createForecaster(createJsKernel()), mix, {
    method,
    horizonMs: 300_000,
    points: 50,
    minPoints: 10,
    emaAlpha: 0.7,
  });
  const refused: string[] = [];
  const budgets: string[] = [];
  const learned = new Map<string, number>();
  const starting = new Set<string>();
  const feed = new ForecastFeed({
    forecast,
    window,
    learned: {
      usualBytes: (plugin) => learned.get(plugin) ?? null,
      isStarting: (plugin) => starting.has(plugin),
    },
    onRefused: (reason) => refused.push(reason),
    onBudget: (_, because) => budgets.push(because),
  });
  let tick = 0;
  /** One sample, 30 s after the last, with plugins of the given MiB on top of 300 MiB. */
  const sample = (
    plugins: Record<string, number>,
    budgetMiB = 1_000,
    baseMiB = 300,
    cgroup: string | null = null,
  ) => {
    const footprints = Object.entries(plugins).map(([plugin, mib]) => {
      learned.set(plugin, mib * MiB);
      return { plugin, bytes: mib * MiB, method: "cgroup", processes: 1 };
    });
    const usedBytes = (baseMiB + Object.values(plugins).reduce((sum, mib) => sum + mib, 0)) * MiB;
    const budgetBytes = budgetMiB * MiB;
    const memory = { usedBytes, budgetBytes, usedRatio: usedBytes / budgetBytes, cgroup };
    const made = { atMs: 1_700_000_000_000 + tick++ * 30_000, memory, footprints } as unknown as Sample;
    window.push(made);
    feed.observe(made);
    return made;
  };
  return { feed, forecast, window, sample, refused, budgets, starting };
}

describe("a known step is no trend", () => {
  test("plugins that start after the first sample", () => {
    const { sample, feed } = feeding();
    sample({});
    for (let i = 0; i < 12; i++) sample({ a: 300 });
    expect(feed.facts()?.state).toBe("ready");
    expect(feed.facts()?.smoothedRatio).toBeCloseTo(0.6, 9);
  });

  test("a plugin that ends by itself", () => {
    const { sample, feed, forecast } = feeding();
    for (let i = 0; i < 12; i++) sample({ a: 100, b: 200 });
    sample({ a: 100 });
    expect(feed.facts()?.state).toBe("ready");
    expect(feed.facts()?.smoothedRatio).toBeCloseTo(0.4, 9);
    expect(forecast.lastRestart?.because).toBe("b ended");
  });

  test("a budget that was lowered, while it runs or between two runs", () => {
    const { sample, feed, forecast } = feeding();
    for (let i = 0; i < 12; i++) sample({ a: 100 });
    sample({ a: 100 }, 800);
    expect(feed.facts()?.state).toBe("cold");
    expect(feed.facts()?.smoothedRatio).toBeCloseTo(0.5, 9);
    expect(forecast.lastRestart?.because).toBe("the budget changed from 1000 MiB to 800 MiB");

    const earlier = feeding();
    const recorded = Array.from({ length: 12 }, () => earlier.sample({ a: 100 }));
    const later = feeding();
    later.feed.warm(recorded);
    expect(later.feed.facts()?.state).toBe("ready");
    for (let i = 0; i < 12; i++) later.window.push(recorded[i] as Sample);
    const lowered = { ...recorded[11], atMs: (recorded[11]?.atMs ?? 0) + 30_000 } as Sample;
    if (lowered.memory) lowered.memory = { ...lowered.memory, budgetBytes: 500 * MiB, usedRatio: 0.8 };
    later.feed.observe(lowered);
    expect(later.feed.facts()?.state).toBe("cold");
  });

  test("another constraint in the lead is no step", () => {
    const { sample, feed } = feeding();
    for (let i = 0; i < 12; i++) sample({ a: 100 });
    sample({ a: 100 }, 2_000, 700, "/sys/fs/cgroup/x");
    expect(feed.facts()?.state).toBe("ready");
  });

  test("a line is borne out half as far ahead as its history reaches back, over a known step too", () => {
    const { sample, feed } = feeding();
    sample({ a: 100 });
    expect(feed.facts()?.reachShare).toBe(0);
    for (let i = 0; i < 11; i++) sample({ a: 100 });
    expect(feed.facts()?.reachShare).toBeCloseTo((11 * 30) / 2 / 300, 9);
    sample({});
    expect(feed.facts()?.reachShare).toBeCloseTo((12 * 30) / 2 / 300, 9);
    for (let i = 0; i < 8; i++) sample({});
    expect(feed.facts()?.reachShare).toBe(1);
    sample({}, 800);
    expect(feed.facts()?.reachShare).toBe(0);
  });

  test("what a plugin takes on while it starts, once it is warm", () => {
    const { sample, feed, forecast, starting } = feeding();
    starting.add("a");
    for (const mib of [20, 60, 100, 140, 180, 220]) sample({ a: mib, b: 100 });
    expect(feed.facts()?.reachShare).toBe(0);
    starting.delete("a");
    for (let i = 0; i < 12; i++) sample({ a: 220, b: 100 });
    expect(forecast.lastRestart?.because).toBe("a warmed up");
    expect(feed.facts()?.state).toBe("ready");
    expect(feed.facts()?.smoothedRatio).toBeCloseTo(0.62, 9);
    expect(feed.facts()?.reachShare).toBeCloseTo((17 * 30) / 2 / 300, 9);
  });

  test("a plugin that ends before it is warm leaves nothing behind", () => {
    const { sample, feed, starting } = feeding();
    for (let i = 0; i < 12; i++) sample({ b: 100 });
    starting.add("a");
    for (const mib of [20, 60]) sample({ a: mib, b: 100 });
    starting.delete("a");
    sample({ b: 100 });
    expect(feed.facts()?.smoothedRatio).toBeCloseTo(0.4, 9);
    expect(feed.facts()?.reachShare).toBeCloseTo((14 * 30) / 2 / 300, 9);
  });

  test("but a plugin that grows is a trend", () => {
    const { sample, feed } = feeding();
    for (let i = 0; i < 12; i++) sample({ a: 100 + 10 * i });
    // 1 % of the budget in 30 s is 10 % in five minutes; at the last sample 51 % are used.
    expect(feed.facts()?.valueRatio).toBeCloseTo(0.61, 6);
  });
});

describe("the adaptive mix", () => {
  /** `count` samples in which b grows by 2 MiB each, on top of a. */
  const growing = (sample: ReturnType<typeof feeding>["sample"], count: number) => {
    for (let i = 0; i < count; i++) sample({ a: 100, b: 50 + 2 * i });
  };

  test("stands back for the line until it has met outcomes", () => {
    const { sample, feed, forecast } = feeding("adaptive");
    growing(sample, 25);
    expect(feed.facts()).toMatchObject({ method: "ols", calibration: null, reachShare: 0 });
    growing(sample, 25);
    expect(feed.facts()).toMatchObject({ method: "adaptive", calibration: "calibrating", reachShare: 1 });
    expect(forecast.method).toBe("adaptive");
  });

  test("goes on as if a plugin that ended had never run: its growth is no trend, its end no step", () => {
    const { sample, feed, forecast } = feeding("adaptive");
    growing(sample, 120);
    expect(forecast.trend(0.8).significant).toBe(true);
    sample({ a: 100 });
    expect(forecast.trend(0.8)).toMatchObject({ significant: false, crossing: null });
    expect(feed.facts()).toMatchObject({ state: "ready", method: "adaptive" });
    expect(feed.facts()?.valueRatio).toBeCloseTo(0.4, 2);
    expect(feed.facts()?.upperRatio).toBeLessThan(0.5);
  });

  test("two plugins shed between two samples are two known steps", () => {
    const { sample, feed } = feeding("adaptive");
    for (let i = 0; i < 60; i++) sample({ a: 100, b: 200, c: 50 });
    feed.rebuild(1_700_000_000_000 + 59 * 30_000, "b was shed", new Set(["a", "c"]));
    feed.rebuild(1_700_000_000_000 + 59 * 30_000, "c was shed", new Set(["a"]));
    expect(feed.facts()?.valueRatio).toBeCloseTo(0.4, 2);
    sample({ a: 100 });
    expect(feed.facts()?.valueRatio).toBeCloseTo(0.4, 2);
  });

  test("begins anew with another budget, which is told", () => {
    const { sample, forecast, budgets } = feeding("adaptive");
    for (let i = 0; i < 60; i++) sample({ a: 100 });
    sample({ a: 100 }, 800);
    expect(forecast.mix()).toMatchObject({ points: 1, judged: 0 });
    expect(budgets).toEqual(["memory was measured", "the budget changed from 1000 MiB to 800 MiB"]);
  });

  test("follows a clock that was set back, and keeps what it learned", () => {
    const { sample, forecast, window } = feeding("adaptive");
    for (let i = 0; i < 60; i++) sample({ a: 100 });
    const before = forecast.mix()?.judged ?? 0;
    const backMs = 1_700_000_000_000 - 3_600_000;
    for (let i = 0; i < 40; i++) forecast.observe(backMs + i * 30_000, 0.4);
    expect(forecast.lastRestart?.because).toBe("the clock went back");
    expect(forecast.mix()?.atSeconds).toBe((backMs + 39 * 30_000) / 1_000);
    expect(forecast.mix()?.judged).toBeGreaterThan(before + 20);
    expect(window.history()).toHaveLength(60);
  });

  test("an interval that misses too often is not relied on alone", () => {
    const { sample, feed, forecast } = feeding("adaptive");
    for (let i = 0; i < 300; i++) sample({ a: 100 }, 100_000, 300 + (i % 3));
    // Every outcome surprises: memory grows ever faster.
    for (let i = 0; i < 60; i++) sample({ a: 100 }, 100_000, 300 + i ** 3 / 4);
    expect(feed.facts()?.calibration).toBe("miscalibrated");
    const [line, mix] = [forecast.lineReport()?.upperRatio ?? 0, forecast.adaptiveReport()?.upperRatio ?? 0];
    expect(feed.facts()?.upperRatio).toBe(Math.max(line, mix));
  });
});
