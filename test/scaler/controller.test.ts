import { describe, expect, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";
import { unitOf } from "../../src/replay/seeded.ts";
import { Controller } from "../../src/scaler/controller.ts";
import { DayProfile } from "../../src/scaler/day-profile.ts";
import { Growth } from "../../src/scaler/growth.ts";
import { LoadWatch } from "../../src/scaler/load-watch.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import { PutOffs } from "../../src/scaler/put-offs.ts";

const MiB = 2 ** 20;

/** The Mann-Kendall test as its definition goes: each pair of values is looked at. */
function risesByAllPairs(values: readonly number[]): boolean {
  const n = values.length;
  if (n < 6) return false;
  let s = 0;
  values.forEach((value, i) => {
    for (const later of values.slice(i + 1)) s += Math.sign(later - value);
  });
  const ties = [...new Set(values)].map((value) => values.filter((each) => each === value).length);
  const tied = ties.reduce((sum, t) => sum + t * (t - 1) * (2 * t + 5), 0);
  const variance = (n * (n - 1) * (2 * n + 5) - tied) / 18;
  return s > 0 && variance > 0 && (s - 1) / Math.sqrt(variance) > 1.645;
}

describe("growth", () => {
  test("is the larger pace of the last second and the last three, and never negative", () => {
    const growth = new Growth();
    expect(growth.perSecond).toBe(0);
    for (let ms = 0; ms <= 3_000; ms += 250) growth.add(ms, 10 * ms);
    expect(growth.perSecond).toBe(10_000);
    // It pauses for a second: the three seconds still remember 2/3 of it.
    for (let ms = 3_250; ms <= 4_000; ms += 250) growth.add(ms, 30_000);
    expect(growth.perSecond).toBeCloseTo(20_000 / 3, 6);
    growth.add(4_250, 80_000);
    expect(growth.perSecond).toBe(50_000);
    for (let ms = 4_500; ms <= 9_000; ms += 250) growth.add(ms, 80_000 - ms);
    expect(growth.perSecond).toBe(0);
  });

  test("of readings that are too close is not known, nor is it across a reset or a clock that stood still", () => {
    const growth = new Growth();
    growth.add(0, 0);
    growth.add(100, 1e9);
    expect(growth.perSecond).toBe(0);
    growth.add(100, 5e9);
    growth.add(1_000, 2e9);
    expect(growth.perSecond).toBe(2e9);
    growth.reset();
    growth.add(1_500, 9e9);
    expect(growth.perSecond).toBe(0);
  });
});

describe("a plugin that brings the pressure back", () => {
  const putOff = { initialMs: 1_000, mostMs: 5_000, relapseMs: 60_000 };

  test("waits twice as long each time, up to the most, and begins anew once it ran for long", () => {
    const putOffs = new PutOffs();
    const waits: number[] = [];
    let nowMs = 0;
    const cycle = (ranMs: number) => {
      putOffs.shed("a", nowMs, putOff);
      waits.push((putOffs.untilMs("a", nowMs) ?? nowMs) - nowMs);
      nowMs = putOffs.untilMs("a", nowMs) ?? nowMs;
      expect(putOffs.untilMs("a", nowMs)).toBeUndefined();
      putOffs.restored("a", nowMs);
      nowMs += ranMs;
    };
    for (const ranMs of [60_000, 10, 60_000, 10, 60_001, 10, 1]) cycle(ranMs);
    // Shed at first, four times after having run for a minute at most, then after more, then once more at once.
    expect(waits).toEqual([0, 1_000, 2_000, 4_000, 5_000, 0, 1_000]);
  });

  test("is not put off without a rule for it, and its wait moves with a clock that is set", () => {
    const putOffs = new PutOffs();
    putOffs.restored("a", 0);
    putOffs.shed("a", 10, undefined);
    expect(putOffs.untilMs("a", 10)).toBeUndefined();
    putOffs.restored("a", 20);
    putOffs.shed("a", 30, putOff);
    putOffs.shift(1e9);
    expect(putOffs.untilMs("a", 1e9 + 30)).toBe(1e9 + 1_030);
  });
});

describe("requests a second", () => {
  const feed = (perBin: readonly number[]): LoadWatch => {
    const watch = new LoadWatch();
    let total = 1_000;
    watch.observe(total, 0);
    perBin.forEach((count, bin) => {
      total += count;
      watch.observe(total, (bin + 1) * 5_000);
    });
    return watch;
  };

  test("are not known before half a minute, and usual after two minutes and a half", () => {
    expect(feed([5, 5, 5, 5, 5]).facts).toBeNull();
    expect(feed(Array(6).fill(5)).facts).toEqual({
      perSecond: 1,
      recentPerSecond: 1,
      usualPerSecond: null,
      rising: false,
    });
    expect(feed([...Array(24).fill(5), ...Array(6).fill(20)]).facts).toMatchObject({
      recentPerSecond: 4,
      usualPerSecond: 1,
      rising: true,
    });
  });

  test("rise when the rank test says so, not when they wander", () => {
    expect(feed(Array.from({ length: 40 }, (_, bin) => 10 + bin)).facts?.rising).toBe(true);
    expect(feed(Array.from({ length: 40 }, (_, bin) => 50 - bin)).facts?.rising).toBe(false);
    expect(feed(Array.from({ length: 40 }, (_, bin) => (bin % 2 ? 10 : 20))).facts?.rising).toBe(false);
  });

  test("rise exactly where all pairs say so, also after the oldest have left", () => {
    const seed = 11;
    console.log(`seed ${seed}`);
    const kept = 126;
    const watch = new LoadWatch();
    watch.observe(0, 0);
    const counts: number[] = [];
    let [total, rises] = [0, 0];
    for (let bin = 1; bin <= 500; bin++) {
      // A slow wave, with many ties.
      const count = Math.floor(6 * unitOf(seed, bin) + 3 * Math.sin(bin / 40) + 3);
      counts.push(count);
      total += count;
      watch.observe(total, bin * 5_000);
      // Asked twice: the second answer is remembered.
      for (let asked = 0; asked < 2; asked++)
        expect([bin, watch.facts?.rising ?? false]).toEqual([bin, risesByAllPairs(counts.slice(-kept))]);
      if (watch.facts?.rising) rises++;
    }
    expect(rises).toBeGreaterThan(50);
    expect(rises).toBeLessThan(450);
  });

  test("that were not looked at for a while are spread over the time", () => {
    const watch = new LoadWatch();
    watch.observe(0, 0);
    watch.observe(120, 60_000);
    expect(watch.facts).toMatchObject({ perSecond: 2, recentPerSecond: 2 });
  });
});

describe("the time of the day", () => {
  const hour = 3_600_000;
  const days = (count: number): DayProfile => {
    const profile = new DayProfile();
    for (let day = count - 1; day >= 0; day--)
      for (let ms = 0; ms < 24 * hour; ms += 5 * 60_000) {
        const noon = ms >= 12 * hour && ms < 13 * hour;
        profile.learn(day * 24 * hour + ms, noon ? 0.8 : 0.5);
      }
    return profile;
  };

  test("announces a peak that came on three days, and when", () => {
    const ahead = days(3).ahead(3 * 24 * hour + 11.8 * hour, 15 * 60_000);
    expect(ahead?.riseRatio).toBeCloseTo(0.3, 10);
    expect(ahead?.atMs).toBe(3 * 24 * hour + 12 * hour);
  });

  test("announces nothing too early, after two days, or where the use falls", () => {
    expect(days(3).ahead(3 * 24 * hour + 11.5 * hour, 15 * 60_000)).toBeNull();
    expect(days(2).ahead(2 * 24 * hour + 11.8 * hour, 15 * 60_000)).toBeNull();
    expect(days(3).ahead(3 * 24 * hour + 12.8 * hour, 15 * 60_000)).toBeNull();
  });
});

describe("the controller", () => {
  const policy = policyOf(configSchema.parse({ scaler: { policy: "adaptive" } }).scaler);
  const reading = (usedPercent: number) => ({ usedBytes: usedPercent * 10 * MiB, budgetBytes: 1_000 * MiB });

  test("tells how fast memory grows, from nothing again after a change", () => {
    const controller = new Controller(policy);
    for (let ms = 0; ms <= 1_000; ms += 100) controller.observe(reading(50 + ms / 100), ms);
    expect(controller.situation(1_000, reading(60), []).growthPerSecond).toBeCloseTo(100 * MiB, 3);
    controller.shedBegins();
    controller.shedDone("a", 1_100, 300);
    expect(controller.situation(1_100, reading(60), [])).toMatchObject({
      growthPerSecond: 0,
      reclaimMs: 300,
      shedding: true,
      lastChangeMs: 1_100,
    });
    controller.observe(reading(60), 1_200);
    expect(controller.shedding).toBe(false);
  });

  test("takes no growth for a pace while a plugin starts, and for three seconds from there", () => {
    const controller = new Controller(policy);
    for (let ms = 0; ms <= 1_000; ms += 100) controller.observe(reading(50 + ms / 100), ms);
    const growthAt = (ms: number, plugins: Parameters<Controller["situation"]>[2] = []) =>
      controller.situation(ms, reading(60), plugins).growthPerSecond;
    expect(growthAt(1_000)).toBeGreaterThan(0);
    const starting = { name: "a", state: "starting", footprintBytes: null, learnedBytes: null } as const;
    expect(growthAt(1_000, [starting])).toBe(0);
    controller.started(1_000);
    expect(growthAt(3_999)).toBe(0);
    expect(growthAt(4_000)).toBeGreaterThan(0);
  });

  test("expects of a kill what three quarters of the last eight took at most", () => {
    const controller = new Controller(policy);
    const expected = () => controller.situation(0, reading(50), []).reclaimMs;
    expect(expected()).toBe(400);
    controller.shedDone("a", 0, null);
    expect(expected()).toBe(400);
    for (const ms of [2_000, 100, 90_000]) controller.shedDone("a", 0, ms);
    expect(expected()).toBe(10_000);
    controller.shedDone("a", 0, 200);
    expect(expected()).toBe(2_000);
    for (let kill = 0; kill < 8; kill++) controller.shedDone("a", 0, 50);
    expect(expected()).toBe(50);
  });

  test("moves what it remembers with a clock that is set", () => {
    const controller = new Controller(policy);
    controller.restoreBegins("a", 1_000);
    controller.shedDone("a", 2_000, 10);
    controller.clockMoved(1e9);
    const [plugin] = controller.situation(1e9 + 2_000, reading(50), [
      { name: "a", state: "shed", footprintBytes: null, learnedBytes: null },
    ]).plugins;
    expect(plugin?.putOffUntilMs).toBe(1e9 + 2_100);
    expect(controller.lastChangeMs).toBe(1e9 + 2_000);
  });
});
