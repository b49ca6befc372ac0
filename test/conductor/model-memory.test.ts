import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { ModelMemory } from "../../src/conductor/model-memory.ts";
import { silentLog } from "../../src/log.ts";
import {
  holding,
  type LadderSituation,
  type LadderVerdict,
  ladderPolicy,
  type ModelFacts,
} from "../../src/models/ladder-facts.ts";
import { Leases } from "../../src/scaler/leases.ts";

const GiB = 2 ** 30;

const model = (name: string, more: Partial<ModelFacts> = {}): ModelFacts => ({
  name,
  quality: 50,
  state: "unloaded",
  contextTokens: 4_096,
  loadedContextTokens: null,
  mostParallel: 1,
  parallel: 1,
  bytes: { declared: 2 * GiB, weights: null, kvPerToken: null, learned: [] },
  heldBytes: null,
  generating: 0,
  idleSinceMs: null,
  loadedAtMs: null,
  loadMs: null,
  tokensPerSecond: null,
  slowestTokensPerSecond: null,
  failedRatio: null,
  stepDownRatio: null,
  ...more,
});

const large = model("large", { state: "ready", heldBytes: 5 * GiB });

const situation = (models: ModelFacts[], usedRatio: number): LadderSituation => ({
  nowMs: 0,
  memory: { usedBytes: usedRatio * 12 * GiB, budgetBytes: 12 * GiB, reservedBytes: 0 },
  forecast: null,
  models,
  contextWanted: 0,
  lastChangeMs: null,
  calmSinceMs: null,
  gaveUp: null,
});

const change = { rule: "threshold", reason: "", rejected: [] } as const;
const setting = { contextTokens: 4_096, parallel: 1 };

function memory() {
  const clock = new VirtualClock();
  const leases = new Leases(() => crypto.randomUUID());
  let heldBytes = 0;
  const room = new ModelMemory({
    clock,
    log: silentLog,
    scaler: {
      preflight: {
        hold: (terms: Parameters<Leases["take"]>[0]) => leases.take(terms, clock.monotonicMs()),
        renew: (id: string, leaseMs: number, takenBytes: number) =>
          leases.renew(id, leaseMs, clock.monotonicMs(), takenBytes),
        release: (id: string) => leases.release(id, clock.monotonicMs()),
      },
      promised: () => leases.list(clock.monotonicMs()).map((lease) => ({ kind: "lease", ...lease })),
      status: () => ({ forecast: null }),
    } as unknown as ConstructorParameters<typeof ModelMemory>[0]["scaler"],
    footprintBytes: () => heldBytes,
    finishMs: 30_000,
    policy: ladderPolicy,
  });
  return { clock, room, leases, holds: (bytes: number) => (heldBytes = bytes) };
}

describe("what is given back", () => {
  const small = model("small");
  const verdicts: [string, LadderVerdict, number | null][] = [
    ["unloading gives all", { ...change, action: "unload", model: "large" }, 5 * GiB],
    [
      "a smaller one takes its place, and 5 - 2 GiB stay free",
      {
        ...change,
        action: "switch",
        model: "small",
        from: "large",
        setting,
        needBytes: 2 * GiB,
        beside: false,
      },
      3 * GiB,
    ],
    [
      "a smaller one is loaded beside it",
      {
        ...change,
        action: "switch",
        model: "small",
        from: "large",
        setting,
        needBytes: 2 * GiB,
        beside: true,
      },
      null,
    ],
    [
      "a shorter context",
      { ...change, action: "trim", model: "large", setting, needBytes: 4 * GiB },
      1 * GiB,
    ],
    [
      "it finishes its answer first",
      { action: "hold", rule: "finish", model: "large", reason: "", rejected: [] },
      3 * GiB,
    ],
    ["a load gives nothing", { ...change, action: "load", model: "small", setting, needBytes: GiB }, null],
  ];
  test.each(verdicts)("%s", (_, verdict, bytes) => {
    const { room } = memory();
    room.decided(situation([large, small], 0.85), verdict);
    expect(room.giving?.bytes ?? null).toBe(bytes);
  });

  test("over its line and just loaded, it is the next to go; under it nothing is", () => {
    const { room } = memory();
    room.decided(situation([large, small], 0.85), holding("large was just loaded"));
    expect(room.giving).toMatchObject({ bytes: 3 * GiB, urgent: false });
    room.decided(situation([large, small], 0.7), holding("large is the best model"));
    expect(room.giving).toBeNull();
  });

  test("has one time for finishing and going, however often that is decided", async () => {
    const { room, clock } = memory();
    const finish: LadderVerdict = {
      action: "hold",
      rule: "finish",
      model: "large",
      reason: "",
      rejected: [],
    };
    room.decided(situation([large, small], 0.85), finish);
    const untilMs = clock.nowMs() + 30_000;
    await clock.advance(20_000);
    room.decided(situation([large, small], 0.85), finish);
    room.decided(situation([large, small], 0.85), { ...change, action: "unload", model: "large" });
    expect(room.giving?.untilMs).toBe(untilMs);
  });

  test("a model that was killed gives at once, and what was begun goes on while it changes", () => {
    const { room, clock } = memory();
    room.killed(large);
    room.decided(situation([{ ...large, state: "unloading" }, small], 0.96), holding("one change at a time"));
    expect(room.giving).toMatchObject({ bytes: 5 * GiB, urgent: true, untilMs: clock.nowMs() + 1_000 });
  });
});

test("a load has a lease, of which what it took is not promised any more, until it ends", async () => {
  const { room, clock, leases, holds } = memory();
  const release = room.reserve("large", 5 * GiB);
  expect(leases.reservedBytes(clock.monotonicMs())).toBe(5 * GiB);
  holds(2 * GiB);
  await clock.advance(1_000);
  expect(leases.reservedBytes(clock.monotonicMs())).toBe(3 * GiB);
  release();
  await clock.advance(5_000);
  expect(leases.list(clock.monotonicMs())).toEqual([]);
  room.reserve("elsewhere", 0)();
  expect(leases.list(clock.monotonicMs())).toEqual([]);
});
