import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { Admission, type MemoryNow } from "../../src/scaler/admission.ts";
import { Leases } from "../../src/scaler/leases.ts";
import type { ForecastFacts, PluginFacts, Policy } from "../../src/scaler/situation.ts";

const MiB = 2 ** 20;
const policy: Policy = {
  order: ["voice", "android", "discord", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
};
const reservationMs = 30_000;
const horizonMs = 300_000;
const startMs = 1_000_000;

/** Plugins that each usually take so many MiB, on a budget of 1,000 MiB of which `usedMiB` are used. */
function admission(usualMiB: Record<string, number | null>, usedMiB: number) {
  const clock = new VirtualClock(startMs);
  const host = {
    usedMiB,
    held: new Map<string, number>(),
    requires: new Map<string, string[]>(),
    more: new Map<string, Partial<PluginFacts>>(),
    forecast: null as ForecastFacts | null,
  };
  const facts = (): PluginFacts[] =>
    Object.entries(usualMiB).map(([name, usual]) => ({
      name,
      state: host.held.has(name) ? "running" : "absent",
      footprintBytes: null,
      learnedBytes: usual === null ? null : usual * MiB,
      requires: host.requires.get(name) ?? [],
      ...host.more.get(name),
    }));
  const footprintBytes = (name: string) => {
    const held = host.held.get(name);
    return held === undefined ? null : held * MiB;
  };
  let ids = 0;
  const leases = new Leases(() => `lease-${++ids}`);
  const actuator = { plugins: facts, footprintBytes };
  const subject = new Admission({ clock, actuator, reservationMs, horizonMs, leases });
  const memory = ({ shedding = false } = {}): MemoryNow => ({
    situation: {
      nowMs: clock.nowMs(),
      measured: { usedBytes: host.usedMiB * MiB, budgetBytes: 1_000 * MiB },
      plugins: facts(),
      shedding,
      lastChangeMs: null,
    },
    forecast: host.forecast,
    policy,
  });
  const moved = (plugin: string, state: PluginFacts["state"]) => subject.moved(plugin, state, memory);
  const mayStart = (plugin: string) => subject.mayStart(plugin, memory());
  const mayOverlap = (plugin: string) => subject.mayOverlap(plugin, memory());
  return { clock, host, subject, leases, memory, moved, mayStart, mayOverlap };
}

const ok = { ok: true } as const;

describe("a plugin that is to start", () => {
  test("may not over the shed line, nor while memory is still being shed", () => {
    const { subject, memory, host, mayStart } = admission({ voice: 10, stubs: 10 }, 850);
    const reason = "memory is short: 85.0 % of the budget is used, the shed line is 80.0 %";
    expect(mayStart("voice")).toEqual({ ok: false, reason });
    host.usedMiB = 760;
    expect(subject.mayStart("voice", memory({ shedding: true })).ok).toBe(false);
    expect(mayStart("voice")).toEqual(ok);
  });

  test("may not where its usual footprint would bring the use to the shed line", () => {
    const { host, mayStart } = admission({ voice: 340, stubs: 10 }, 472);
    expect(mayStart("voice")).toEqual({
      ok: false,
      reason: "there is no room: 81.2 % of the budget would be used with its usual 340 MiB",
    });
    host.usedMiB = 460;
    expect(mayStart("voice").ok).toBe(false);
    host.usedMiB = 459;
    expect(mayStart("voice")).toEqual(ok);
  });

  test("may when nobody knows its footprint or how much is used", () => {
    const { subject, memory, mayStart } = admission({ voice: null, stubs: 10 }, 799);
    expect(mayStart("voice")).toEqual(ok);
    expect(subject.mayStart("voice", { ...memory(), situation: null })).toEqual(ok);
  });

  test("may always when it is never shed, or required by what is never shed", () => {
    const { host, mayStart } = admission({ core: 500, voice: 500, stubs: 500 }, 900);
    expect(mayStart("core").ok).toBe(false);
    host.requires.set("stubs", ["core"]);
    expect([mayStart("core"), mayStart("stubs")]).toEqual([ok, ok]);
    expect(mayStart("voice").ok).toBe(false);
  });
});

describe("a plugin that starts reserves its peak", () => {
  const peak = (peakMiB: number, startMiB: number | null) => ({
    peakBytes: peakMiB * MiB,
    startBytes: startMiB === null ? null : startMiB * MiB,
  });

  test("and waits for it, where it always needs about the same", () => {
    const { host, mayStart } = admission({ voice: 90, stubs: 1 }, 690);
    host.more.set("voice", peak(110, 80));
    expect(mayStart("voice")).toEqual({
      ok: false,
      reason: "there is no room: 80.0 % of the budget would be used with its peak of 110 MiB",
    });
    host.usedMiB = 689;
    expect(mayStart("voice")).toEqual(ok);
  });

  test("so that the next one does not take what it will need", () => {
    const { host, subject, mayStart } = admission({ voice: 90, android: 90, stubs: 1 }, 400);
    host.more.set("voice", peak(350, 80));
    expect(mayStart("voice")).toEqual(ok);
    expect(subject.reservedBytes()).toBe(350 * MiB);
    host.held.set("voice", 80);
    host.usedMiB = 480;
    expect(subject.reservedBytes()).toBe(270 * MiB);
    expect(mayStart("android").ok).toBe(false);
  });

  test("but what leaked until it was shed does not stay away for its leak", () => {
    const { host, subject, mayStart } = admission({ voice: 150, stubs: 1 }, 500);
    // It grew to all that was free: beside the 500 MiB that run, 800 MiB and a tenth never fit again.
    host.more.set("voice", peak(330, 40));
    expect(mayStart("voice")).toEqual(ok);
    expect(subject.reservedBytes()).toBe(190 * MiB);
    host.usedMiB = 620;
    expect(mayStart("voice")).toEqual({
      ok: false,
      reason:
        "there is no room: 81.0 % of the budget would be used with the 190 MiB that it starts with and usually holds",
    });
    // Where there is room for the whole of it, it gets that.
    host.usedMiB = 469;
    expect(mayStart("voice")).toEqual(ok);
    expect(subject.reservedBytes()).toBe(330 * MiB);
  });

  test("and before it was ever measured what its manifest expects", () => {
    const { host, mayStart, subject } = admission({ voice: null, stubs: 1 }, 500);
    host.more.set("voice", { hintBytes: 300 * MiB });
    expect(mayStart("voice")).toEqual({
      ok: false,
      reason:
        "there is no room: 80.0 % of the budget would be used with the 300 MiB that its manifest expects",
    });
    host.more.set("voice", { hintBytes: 300 * MiB, learnedBytes: 20 * MiB, peakBytes: 22 * MiB });
    expect(mayStart("voice")).toEqual(ok);
    expect(subject.reservedBytes()).toBe(22 * MiB);
  });
});

describe("growth that is expected while a plugin starts", () => {
  const rising: ForecastFacts = {
    state: "ready",
    atMs: startMs,
    valueRatio: 0.9,
    smoothedRatio: 0.9,
    lowerRatio: 0.8,
    upperRatio: 0.95,
    calibration: "calibrated",
  };
  // From 600 to 900 MiB within five minutes: 30 within the half minute of a start.
  const started = (forecast: ForecastFacts | null, usualMiB: number) => {
    const { host, mayStart } = admission({ voice: usualMiB, stubs: 1 }, 600);
    host.forecast = forecast;
    return mayStart("voice");
  };

  test("has to fit too", () => {
    expect(started(rising, 169)).toEqual(ok);
    expect(started(rising, 170)).toEqual({
      ok: false,
      reason:
        "there is no room: 80.0 % of the budget would be used with its usual 170 MiB and 30.0 MiB by which it is expected to grow meanwhile",
    });
  });

  test("counts only where the forecast can be trusted, and is not past", () => {
    const untrusted: (ForecastFacts | null)[] = [
      null,
      { ...rising, state: "cold" },
      { ...rising, calibration: "calibrating" },
      { ...rising, calibration: null },
      { ...rising, atMs: startMs - horizonMs },
      { ...rising, valueRatio: 0.5 },
    ];
    for (const forecast of untrusted) expect([forecast, started(forecast, 199)]).toEqual([forecast, ok]);
  });
});

describe("plugins that start at the same time", () => {
  const names = Array.from({ length: 10 }, (_, index) => `p${index}`);
  const ten = Object.fromEntries([...names, "stubs"].map((name) => [name, 100]));

  test("do not all see the same free memory", () => {
    const { mayStart } = admission(ten, 450);
    // 450 + 3 * 100 are under 800; a fourth would be over.
    expect(names.map((name) => mayStart(name).ok)).toEqual(names.map((_, index) => index < 3));
    expect(mayStart("p9")).toEqual({
      ok: false,
      reason:
        "there is no room: 85.0 % of the budget would be used with its usual 100 MiB and 300 MiB that are promised to p0, p1, p2",
    });
  });

  test("count with what they have not taken yet", () => {
    const { host, mayStart } = admission(ten, 450);
    for (const name of ["p0", "p1", "p2"]) mayStart(name);
    for (const name of ["p0", "p1", "p2"]) host.held.set(name, 100);
    host.usedMiB = 650;
    // 100 MiB less are used than was promised: one more fits.
    expect(mayStart("p3")).toEqual(ok);
    expect(mayStart("p4").ok).toBe(false);
  });

  test("give their promise back when they are ready, have failed, or say nothing for long", async () => {
    const { clock, moved, mayStart } = admission(ten, 450);
    for (const name of ["p0", "p1", "p2"]) {
      mayStart(name);
      moved(name, "starting");
    }
    expect(mayStart("p3").ok).toBe(false);
    moved("p0", "running");
    expect(mayStart("p3").ok).toBe(true);
    moved("p1", "absent");
    expect(mayStart("p4").ok).toBe(true);
    expect(mayStart("p5").ok).toBe(false);
    await clock.advance(reservationMs);
    expect(mayStart("p5").ok).toBe(true);
  });

  test("count too when somebody else ordered the start", () => {
    const { moved, mayStart } = admission(ten, 650);
    moved("p0", "starting");
    expect(mayStart("p1").ok).toBe(false);
    moved("p0", "running");
    expect(mayStart("p1").ok).toBe(true);
  });

  test("ask again without counting twice", () => {
    const { mayStart } = admission(ten, 650);
    expect([mayStart("p0").ok, mayStart("p0").ok, mayStart("p1").ok]).toEqual([true, true, false]);
  });
});

describe("a second copy", () => {
  test("may run where what the plugin holds fits once more, and says why not", () => {
    const { host, mayOverlap } = admission({ voice: 100, stubs: 10 }, 620);
    host.held.set("voice", 180);
    expect(mayOverlap("voice")).toEqual({
      ok: false,
      reason:
        "there is no room for a second copy: 80.0 % of the budget would be used with its 180 MiB once more",
    });
    host.usedMiB = 619;
    expect(mayOverlap("voice")).toEqual(ok);
  });

  test("is taken to need its usual footprint where that is larger, and where it cannot be measured", () => {
    const { host, mayOverlap } = admission({ voice: 200, stubs: 10 }, 650);
    expect(mayOverlap("voice").ok).toBe(false);
    host.held.set("voice", 20);
    expect(mayOverlap("voice").ok).toBe(false);
    host.usedMiB = 599;
    expect(mayOverlap("voice")).toEqual(ok);
  });

  test("of the one that is never shed needs room like any other: it can be stopped first", () => {
    const { host, mayOverlap } = admission({ voice: 10, stubs: 10 }, 850);
    host.held.set("stubs", 10);
    const reason = "memory is short: 85.0 % of the budget is used, the shed line is 80.0 %";
    expect(mayOverlap("stubs")).toEqual({ ok: false, reason });
  });

  test("is counted until it is over, as far as it has not taken its memory yet", async () => {
    const { clock, host, subject, moved, mayOverlap, mayStart } = admission(
      { voice: 100, android: 90, stubs: 1 },
      600,
    );
    host.held.set("voice", 100);
    expect(mayOverlap("voice")).toEqual(ok);
    const start = () => {
      const { ok: may } = mayStart("android");
      moved("android", "absent");
      return may;
    };
    // 600 + 100 for the copy + 90 are under 800; 11 more are not.
    expect(start()).toBe(true);
    host.usedMiB = 611;
    expect(start()).toBe(false);
    // Both copies together hold 160: the second has taken 60 of its 100.
    host.held.set("voice", 160);
    host.usedMiB = 660;
    expect(start()).toBe(true);
    host.usedMiB = 671;
    expect(start()).toBe(false);
    subject.overlapEnded("voice");
    expect(start()).toBe(true);
    host.held.set("voice", 100);
    host.usedMiB = 611;
    mayOverlap("voice");
    expect(start()).toBe(false);
    moved("voice", "shed");
    expect(start()).toBe(true);
    mayOverlap("voice");
    await clock.advance(reservationMs);
    expect(start()).toBe(true);
  });
});
