/** Promotion by a person and by evidence, probation and its end, across restarts of everything but the file. */

import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { VirtualClock } from "../../src/clock.ts";
import type { ReplayBoth } from "../../src/conductor/background-replay.ts";
import { makeShadows } from "../../src/conductor/make-shadows.ts";
import { regretOf } from "../../src/conductor/regret.ts";
import { Startup } from "../../src/conductor/startup.ts";
import { configSchema } from "../../src/config/schema.ts";
import { EventBus } from "../../src/events/bus.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import type { Policy } from "../../src/scaler/situation.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { afterwards, recordedLog, scratchFolder, undoAll } from "../storage/scratch.ts";

afterEach(undoAll);

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const order = { by: "person", who: "anna", reason: "it did better" } as const;
const late = { name: "late", policy: "adaptive", shed: "92%", restore: "85%", order: ["voice", "stubs"] };
const byEvidence = { ...late, promotion: { after: "2d", betterBy: "1%", differences: 3 }, probation: "1d" };

/** Replays to a fixed availability by policy: that of `late` is better by `gain`, every quarter of a day. */
const replaying =
  (gain: number, asked: string[] = []): ReplayBoth =>
  async ({ acting, shadow }, { sinceMs, untilMs }) => {
    const under = ({ kind = "mission" }: Policy) => {
      asked.push(kind);
      const stretches = [];
      for (let startMs = sinceMs; startMs + 6 * hourMs <= untilMs; startMs += 6 * hourMs)
        stretches.push({
          startMs,
          weightedAvailability: 0.9 + (kind === "adaptive" ? gain : 0),
          oomMinutes: 0,
          criticalMinutes: 0,
          sheds: 1,
        });
      return stretches;
    };
    return { outcome: "done", regret: regretOf(under(acting), under(shadow)), cost: null };
  };

function house(
  shadow: readonly object[],
  {
    replay,
    path = join(scratchFolder(), "conductor.db"),
    atMs = 0,
    more = {},
  }: { replay?: ReplayBoth; path?: string; atMs?: number; more?: object } = {},
) {
  const clock = new VirtualClock(1_800_000_000_000 + atMs);
  const { log, lines } = recordedLog();
  const storage = openStorage({
    location: resolveLocation(path, {}),
    retention: { samplesMs: 1e12, metricsMs: 1e12, decisionsMs: 1e12 },
    clock,
    log,
  });
  const metrics = new Metrics(
    { version: "1", commit: "c", kernel: "js" },
    { plugin: [], forecast: [], calibration: [] },
  );
  const config = configSchema.parse({ shadow, ...more });
  const foundation = {
    clock,
    log,
    events: new EventBus(clock, log),
    startup: new Startup(log),
    loaded: { config, file: null, baseFolder: "/" },
    policy: policyOf(config.scaler),
    ...(replay ? { replay } : {}),
  };
  const announced: unknown[] = [];
  foundation.events.on("scaling.policy", ({ change, by }) => void announced.push(`${change} by ${by}`));
  let kills = 7;
  const it = makeShadows(foundation, { storage, metrics }, () => kills);
  const kill = () => {
    kills++;
  };
  const end = async () => {
    await foundation.startup.unwind();
    storage.close();
  };
  afterwards(end);
  const decided = (rule: string, actions: { kind: string; plugin: string }[]) => {
    const draft = { atMs: clock.nowMs(), policy: "x", rule, reason: "", inputs: {}, forecast: null };
    const id = storage.decisions.append({ ...draft, plan: null, actions, alternatives: [], plugins: [] });
    foundation.events.publish("scaling.decision", {
      decisionId: id,
      rule,
      reason: "",
      actions: [],
      observed: false,
    });
  };
  const differ = (times: number) => {
    for (let i = 0; i < times; i++)
      storage.shadows.insert({
        shadow: "late",
        atMs: clock.nowMs(),
        usedRatio: 0.85,
        rule: "hold",
        reason: "",
        actions: [],
        actingRule: "threshold",
        actingActions: [],
      });
  };
  return { ...it, kill, clock, storage, foundation, lines, announced, path, end, decided, differ, config };
}

const kindOf = ({ foundation }: ReturnType<typeof house>) => foundation.policy.kind;
const laterOf = (it: ReturnType<typeof house>) => it.clock.nowMs() - 1_800_000_000_000;

describe("a person", () => {
  test("promotes a shadow, which acts also after a restart and whatever the configuration says, and goes back", async () => {
    const first = house([late]);
    expect([kindOf(first), first.desk.promoted]).toEqual(["mission", null]);
    expect(first.promote("late", order)).toEqual({ ok: true });
    expect(kindOf(first)).toBe("adaptive");
    expect(first.shadows.views()).toEqual([]);
    await first.end();
    const second = house([{ ...late, shed: "90%" }], { path: first.path, atMs: 5_000 });
    expect(second.foundation.policy).toMatchObject({ kind: "adaptive", shedRatio: 0.92 });
    expect(second.desk.promoted).toMatchObject({ shadow: "late", ...order, probationUntilMs: null });
    second.configure(configSchema.parse({ scaler: { shed: "70%" }, shadow: [] }));
    expect([kindOf(second), second.desk.configured.shedRatio]).toEqual(["adaptive", 0.7]);
    expect(second.desk.rollback({ ...order, reason: "it did not" })).toEqual({ ok: true });
    expect(second.foundation.policy).toMatchObject({ kind: "mission", shedRatio: 0.7 });
    await second.end();
    const third = house([late], { path: first.path, atMs: 10_000 });
    expect([kindOf(third), third.desk.promoted]).toEqual(["mission", null]);
    expect(third.desk.history(9).map(({ change, by, who, reason }) => [change, by, who, reason])).toEqual([
      ["rolled-back", "person", "anna", "it did not"],
      ["promoted", "person", "anna", "it did better"],
    ]);
    const { decisions } = third.storage.decisions.list();
    expect(decisions.map(({ rule, reason }) => [rule, reason])).toEqual([
      ["rolled-back", "the configured policy acts again in place of late, ordered by anna: it did not"],
      [
        "promoted",
        "the shadow policy late acts in place of the configured one, ordered by anna: it did better",
      ],
    ]);
  });

  test("is told what cannot be: no such shadow, promoted already, nothing to go back from, nothing kept", async () => {
    const it = house([late]);
    expect(it.desk.rollback(order)).toMatchObject({ ok: false, code: "not-promoted" });
    expect(it.promote("early", order)).toBeNull();
    it.promote("late", order);
    expect(it.promote("late", order)).toMatchObject({ ok: false, code: "acts-already" });
    it.storage.close();
    expect(it.desk.rollback(order)).toMatchObject({ ok: false, code: "not-kept" });
    expect(kindOf(it)).toBe("adaptive");
  });

  test("cannot promote a shadow that threw", () => {
    const it = house([late]);
    const reading = { nowMs: it.clock.nowMs(), plugins: null as never, reservedBytes: 0, forecast: null };
    it.shadows.judge({
      ...reading,
      measured: { usedBytes: 1, budgetBytes: 2 },
      verdict: { rule: "hold", reason: "", actions: [], rejected: [] },
      acts: true,
    });
    expect(it.lines.map(({ event }) => event)).toContain("shadow.failed");
    expect(it.promote("late", order)).toMatchObject({ ok: false, code: "failed" });
    expect(kindOf(it)).toBe("mission");
  });

  test("is obeyed: what they promoted does not go back by itself", async () => {
    const it = house([late]);
    it.promote("late", order);
    it.decided("emergency", [{ kind: "shed", plugin: "voice" }]);
    await it.clock.advance(60_000);
    expect(kindOf(it)).toBe("adaptive");
  });

  test("finds the configured policy in force where the record of the promotion is of another make", async () => {
    const first = house([late]);
    first.promote("late", order);
    first.storage.promotions.insert({
      ...order,
      atMs: 1,
      change: "promoted",
      shadow: "late",
      policy: { shed: 1 },
      probationUntilMs: null,
      oomKills: null,
    });
    await first.end();
    const second = house([late], { path: first.path });
    expect(kindOf(second)).toBe("mission");
    expect(second.lines.map(({ event }) => event)).toContain("scaler.promotion_unreadable");
  });
});

describe("evidence", () => {
  test("is refused at the start, and at a reload, where no record can be replayed", () => {
    const inMemory = { storage: { path: ":memory:" } };
    expect(() => house([byEvidence], { more: inMemory })).toThrow(
      /^shadow late: promotion: expected manual: evidence needs a record on the disk to replay, and storage.path is :memory:$/,
    );
    const it = house([late]);
    const short = { retention: { samples: "1d" } };
    expect(() => it.configure(configSchema.parse({ shadow: [byEvidence], storage: short }))).toThrow(
      /^shadow late: promotion.after: 48 h: expected at most storage.retention.samples \(24 h\): what is older cannot be replayed$/,
    );
    expect(it.watched()).toMatchObject([{ settings: { promotion: "manual" } }]);
  });

  test("waits where the state came to lie in memory: it says so, and conductor starts", async () => {
    const it = house([byEvidence], { path: ":memory:" });
    expect(it.lines.map(({ event }) => event)).toContain("shadow.no_evidence");
    it.differ(3);
    await it.clock.advance(3 * dayMs);
    expect([kindOf(it), it.judged("late")]).toEqual(["mission", null]);
  });

  test("is looked for again after ten minutes where memory was short, later and later where the replay failed", async () => {
    const atMinutes: number[] = [];
    let answer: Awaited<ReturnType<ReplayBoth>> = { outcome: "put-off", because: "memory is short" };
    const it: ReturnType<typeof house> = house([byEvidence], {
      replay: async () => {
        atMinutes.push(Math.round(laterOf(it) / 60_000));
        return answer;
      },
    });
    it.differ(3);
    await it.clock.advance(2 * dayMs + 85 * 60_000);
    const begin = atMinutes[0] ?? 0;
    expect(atMinutes.slice(0, 3).map((at) => at - begin)).toEqual([0, 10, 20]);
    expect(it.judged("late")).toMatchObject({
      enough: false,
      because: "it was not replayed: memory is short",
    });
    answer = { outcome: "failed", because: "it ended with exit code 1" };
    await it.clock.advance(10 * 60_000);
    const failed = atMinutes.length;
    await it.clock.advance(7 * hourMs);
    expect(atMinutes.slice(failed).map((at) => at - (atMinutes[failed - 1] ?? 0))).toEqual([120, 360]);
    expect(kindOf(it)).toBe("mission");
  });

  test("does not count for a policy that was replaced while it was replayed", async () => {
    const answered = Promise.withResolvers<void>();
    const replay = replaying(0.05);
    const it = house([byEvidence], {
      replay: async (...asked) => {
        await answered.promise;
        return replay(...asked);
      },
    });
    it.differ(3);
    await it.clock.advance(2 * dayMs + 2 * hourMs);
    it.configure(configSchema.parse({ shadow: [{ ...byEvidence, shed: "90%" }] }));
    answered.resolve();
    await it.clock.advance(1_000);
    expect([kindOf(it), it.announced]).toEqual(["mission", []]);
  });

  test("promotes after its time, with enough decisions that differ and a gain that is no chance; then it is kept", async () => {
    const asked: string[] = [];
    const it = house([byEvidence], { replay: replaying(0.05, asked) });
    it.differ(3);
    await it.clock.advance(2 * dayMs - 2 * hourMs);
    expect([kindOf(it), asked]).toEqual(["mission", []]);
    await it.clock.advance(4 * hourMs);
    expect([kindOf(it), asked]).toEqual(["adaptive", ["mission", "adaptive"]]);
    const [promoted] = it.storage.decisions.list().decisions;
    expect(promoted?.inputs).toMatchObject({
      by: "evidence",
      evidence: { differences: 3, regret: { stretches: 8, gain: { mean: expect.closeTo(0.05) } } },
    });
    expect(it.desk.promoted).toMatchObject({
      by: "evidence",
      reason: expect.stringContaining("3 decisions differed"),
    });
    await it.clock.advance(dayMs);
    expect([kindOf(it), it.desk.promoted?.probationUntilMs]).toEqual(["adaptive", null]);
    expect(it.announced).toEqual(["promoted by evidence", "kept by probation"]);
  });

  test.each([
    ["too few decisions that differ", 2, 0.05],
    ["no gain", 3, 0],
    ["a gain that is smaller than asked for", 3, 0.005],
    ["a loss", 3, -0.05],
  ])("is not enough with %s", async (_, differences, gain) => {
    const it = house([byEvidence], { replay: replaying(gain) });
    it.differ(differences);
    await it.clock.advance(3 * dayMs);
    expect([kindOf(it), it.announced]).toEqual(["mission", []]);
  });

  const onProbation = async () => {
    const it = house([byEvidence], { replay: replaying(0.05) });
    it.differ(3);
    await it.clock.advance(2 * dayMs + 2 * hourMs);
    expect(it.desk.promoted?.by).toBe("evidence");
    return it;
  };

  test("is undone at once by an emergency, and does not count again for the same policy", async () => {
    const it = await onProbation();
    it.decided("emergency", [{ kind: "shed", plugin: "voice" }]);
    await it.clock.advance(10);
    expect(kindOf(it)).toBe("mission");
    expect(it.desk.history(1)).toMatchObject([
      { by: "probation", reason: "memory came to the emergency line (1)" },
    ]);
    expect(it.judged("late")).toMatchObject({
      enough: false,
      because: expect.stringContaining("it went back for trouble"),
    });
    await it.clock.advance(3 * dayMs);
    expect(kindOf(it)).toBe("mission");
    it.promote("late", order);
    expect(kindOf(it)).toBe("adaptive");
  });

  test("is undone by a kill of the kernel", async () => {
    const it = await onProbation();
    it.kill();
    await it.clock.advance(61_000);
    expect(it.desk.history(1)).toMatchObject([
      { by: "probation", reason: "the kernel killed for memory (1)" },
    ]);
  });

  test("is undone by more flaps than the policy before had, after a restart too", async () => {
    const it = await onProbation();
    const flap = async (on: ReturnType<typeof house>) => {
      on.decided("restore", [{ kind: "restore", plugin: "voice" }]);
      await on.clock.advance(60_000);
      on.decided("threshold", [{ kind: "shed", plugin: "voice" }]);
    };
    await it.end();
    const again = house([byEvidence], { replay: replaying(0.05), path: it.path, atMs: laterOf(it) });
    expect(kindOf(again)).toBe("adaptive");
    await flap(again);
    await again.clock.advance(61_000);
    expect([kindOf(again), again.desk.history(1)]).toMatchObject([
      "mission",
      [
        {
          change: "rolled-back",
          by: "probation",
          reason: expect.stringContaining("1 times, the policy before had 0"),
        },
      ],
    ]);
  });

  test("stays while it has no more flaps than before, and what was only observed is no emergency", async () => {
    const it = house([byEvidence], { replay: replaying(0.05) });
    it.differ(3);
    const flap = async () => {
      it.decided("restore", [{ kind: "restore", plugin: "voice" }]);
      await it.clock.advance(60_000);
      it.decided("threshold", [{ kind: "shed", plugin: "voice" }]);
    };
    await it.clock.advance(2 * dayMs - 2 * hourMs);
    await flap();
    await it.clock.advance(4 * hourMs);
    expect(kindOf(it)).toBe("adaptive");
    await flap();
    it.decided("emergency", []);
    const [latest] = it.storage.decisions.list({ limit: 1 }).decisions;
    it.storage.decisions.setOutcome(latest?.id ?? 0, { observed: true }, it.clock.nowMs());
    await it.clock.advance(120_000);
    expect(kindOf(it)).toBe("adaptive");
  });
});
