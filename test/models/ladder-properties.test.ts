/** What holds for every situation, and through every history of a live host. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decideModel } from "../../src/models/ladder.ts";
import {
  type LadderSituation,
  type ModelFacts,
  ladderPolicy as policy,
} from "../../src/models/ladder-facts.ts";
import { freedBy, needOf } from "../../src/models/need.ts";
import { endOf, LadderHost, MiB, type RungName } from "./ladder-host.ts";
import { budgetBytes, nowMs } from "./ladder-situations.ts";

const seed = 20_262;
const share = (max: number) => fc.double({ min: 0, max, noNaN: true });
const past = fc.oneof(fc.constant(null), fc.integer({ min: nowMs - 900_000, max: nowMs }));

const arbitraryModel = (index: number): fc.Arbitrary<ModelFacts> =>
  fc
    .record({
      state: fc.oneof(
        { weight: 12, arbitrary: fc.constant("unloaded" as const) },
        { weight: 8, arbitrary: fc.constant("ready" as const) },
        {
          weight: 1,
          arbitrary: fc.constantFrom("failed" as const, "loading" as const, "unloading" as const),
        },
      ),
      megabytes: fc.integer({ min: 1, max: 700 }),
      kv: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 30_000 })),
      generating: fc.integer({ min: 0, max: 2 }),
      parallel: fc.integer({ min: 1, max: 4 }),
      loadedAtMs: past,
      tokensPerSecond: fc.oneof(fc.constant(null), share(10)),
      failedRatio: fc.oneof(fc.constant(null), share(1)),
      putOff: fc.integer({ min: -10, max: 1 }),
      loadMs: fc.integer({ min: 1, max: 60_000 }),
      byPerson: fc.integer({ min: 0, max: 19 }),
    })
    .map(({ state, megabytes, kv, putOff, byPerson, generating, parallel, loadedAtMs, ...rest }) => {
      const ready = state === "ready";
      return {
        ...rest,
        name: `m${index}`,
        quality: 100 - index,
        state,
        contextTokens: 8_192,
        loadedContextTokens: ready ? 8_192 : null,
        mostParallel: 4,
        parallel,
        bytes: { declared: megabytes * MiB, weights: null, kvPerToken: kv, learned: [] },
        heldBytes: ready ? megabytes * MiB : null,
        generating: ready ? generating : 0,
        idleSinceMs: null,
        loadedAtMs: ready ? loadedAtMs : null,
        slowestTokensPerSecond: 2,
        stepDownRatio: null,
        ...(putOff > 0 ? { putOffUntilMs: nowMs + putOff } : {}),
        ...(byPerson === 0 ? { unloadedByPerson: true as const } : {}),
      };
    });

const arbitrarySituation: fc.Arbitrary<LadderSituation> = fc
  .record({
    used: fc.oneof(share(1.05), fc.double({ min: 0.78, max: 0.95, noNaN: true })),
    reserved: fc.oneof(fc.constant(0), share(0.3)),
    forecast: fc.oneof(fc.constant(null), fc.record({ value: share(1.2), over: share(0.2) })),
    models: fc.tuple(arbitraryModel(0), arbitraryModel(1), arbitraryModel(2), arbitraryModel(3)),
    lastChangeMs: past,
    calmSinceMs: past,
    gaveUp: fc.constantFrom(null, "m0", "m1", "m3"),
    pin: fc.constantFrom(null, null, null, 0, 1, 2, 3),
  })
  .map(({ used, reserved, forecast, models, pin, ...rest }) => ({
    ...rest,
    models: models.map((model, index) => {
      const { unloadedByPerson: _, ...others } = model;
      return index === pin ? { ...others, pinned: true as const } : model;
    }),
    nowMs,
    memory: { usedBytes: used * budgetBytes, reservedBytes: reserved * budgetBytes, budgetBytes },
    forecast: forecast && { valueRatio: forecast.value, upperRatio: forecast.value + forecast.over },
    contextWanted: 0,
  }));

describe("every decision", () => {
  test("changes nothing beside a change, spares whom it must, and loads what fits only", () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(arbitrarySituation, (situation) => {
        const verdict = decideModel(situation, policy);
        const { memory, models } = situation;
        const emergency = memory.usedBytes / memory.budgetBytes >= policy.emergencyRatio;
        const named = (name: string) => models.find((model) => model.name === name) as ModelFacts;
        seen.set(
          `${verdict.rule} ${verdict.action}`,
          (seen.get(`${verdict.rule} ${verdict.action}`) ?? 0) + 1,
        );
        expect(verdict.rule === "emergency" ? emergency : true).toBe(true);
        const changing = models.filter(({ state }) => state === "loading" || state === "unloading");
        if (changing.length > 0) {
          const cut = verdict.action === "cut" && changing.some(({ name }) => name === verdict.model);
          expect(verdict.action === "hold" || cut).toBe(true);
        }
        const leaves =
          verdict.action === "unload" || verdict.action === "cut"
            ? verdict.model
            : verdict.action === "switch" && !verdict.beside
              ? verdict.from
              : verdict.action === "trim" &&
                  verdict.setting.contextTokens !== named(verdict.model).loadedContextTokens
                ? verdict.model
                : null;
        const pinned = models.findIndex((model) => model.pinned);
        if (leaves !== null && models[pinned]?.name === leaves)
          expect(["emergency", "threshold", "forecast", "calm"]).toContain(verdict.rule);
        if (verdict.action === "load" || verdict.action === "switch") {
          expect(named(verdict.model).unloadedByPerson).toBeUndefined();
          expect(models.indexOf(named(verdict.model))).toBeGreaterThanOrEqual(pinned);
        }
        if (leaves !== null && !emergency) {
          const model = named(leaves);
          expect(model.generating).toBe(0);
          if (verdict.rule !== "calm" && verdict.rule !== "ordered" && model.loadedAtMs !== null)
            expect(nowMs - model.loadedAtMs).toBeGreaterThanOrEqual(policy.justLoadedMs);
        }
        if (verdict.action === "load" || verdict.action === "switch") {
          const need = needOf(named(verdict.model), verdict.setting.contextTokens) ?? Number.NaN;
          const reload = verdict.action === "switch" && verdict.model === verdict.from && verdict.beside;
          const freed = verdict.action === "switch" && !verdict.beside ? freedBy(named(verdict.from)) : 0;
          const after =
            (memory.usedBytes + memory.reservedBytes - freed + (reload ? 0 : need)) / memory.budgetBytes;
          if (!reload) {
            const last = verdict.model === "m3";
            expect(after).toBeLessThan(last ? policy.lastStepDownRatio : policy.stepDownRatio);
            expect(named(verdict.model).putOffUntilMs).toBeUndefined();
          }
        }
        if (verdict.rule === "calm")
          expect(nowMs - (situation.calmSinceMs ?? nowMs)).toBeGreaterThanOrEqual(policy.calmMs);
      }),
      { seed, numRuns: 20_000 },
    );
    // The property is about something: each of these came.
    for (const each of [
      "threshold switch",
      "threshold unload",
      "threshold trim",
      "forecast switch",
      "finish hold",
      "slow switch",
      "failing switch",
      "emergency cut",
      "emergency unload",
      "again load",
      "fits load",
      "calm switch",
      "ordered switch",
      "ordered unload",
    ])
      expect([each, (seen.get(each) ?? 0) > 0]).toEqual([each, true]);
  }, 60_000);
});

const names: readonly RungName[] = ["large", "medium", "small"];
const step = fc.record({
  others: fc.integer({ min: 0, max: 92 }),
  asks: fc.array(fc.constantFrom(null, "large", "medium", "small"), { maxLength: 3 }),
  crash: fc.oneof(
    { weight: 5, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(...names) },
  ),
  seconds: fc.integer({ min: 1, max: 500 }),
  forecast: fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 100 })),
});

describe("every history", () => {
  test("has one change at a time, answers cut in an emergency only, and no model back before calm", async () => {
    let downs = 0;
    let answers = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        const host = new LadderHost({ large: { answerTokens: 50, loadMs: 4_000 } });
        let emergencies = 0;
        let gaveUp: { index: number; atMs: number } | null = null;
        let best = -1;
        const asked: ReturnType<LadderHost["ask"]>[] = [];
        const look = () => {
          const now = names.findIndex((name) => host.ready.split(" ").includes(name));
          if (now >= 0 && gaveUp && now <= gaveUp.index && now !== best) {
            const sinceMs = host.clock.monotonicMs() - gaveUp.atMs;
            // The last one may serve again after a minute.
            const last = now === names.length - 1;
            expect(sinceMs).toBeGreaterThanOrEqual(last ? policy.serviceMs : policy.calmMs);
            if (!last) gaveUp = null;
          }
          best = now;
        };
        for (const { others, asks, crash, seconds, forecast } of steps) {
          host.othersBytes = others * 10 * MiB;
          host.forecast =
            forecast === null ? null : { valueRatio: forecast / 100, upperRatio: forecast / 100 + 0.05 };
          for (const model of asks) asked.push(host.ask({}, model));
          if (crash) host.drivers.get(crash)?.crash();
          for (let second = 0; second < seconds; second++) {
            const before = names.findIndex((name) => host.ready.split(" ").includes(name));
            host.verdicts = [];
            await host.run(1_000);
            for (const verdict of host.verdicts) {
              const [rule = "", action] = verdict.split(" ");
              if (rule === "emergency") emergencies++;
              if (!["threshold", "forecast", "emergency"].includes(rule) || action === "trim" || before < 0)
                continue;
              const after = host.manager.facts().findIndex(({ state }) => state === "ready");
              if (after === before) continue;
              downs++;
              gaveUp = { index: before, atMs: host.clock.monotonicMs() };
            }
            look();
          }
        }
        expect(host.mostChanging).toBeLessThanOrEqual(1);
        await host.manager.close();
        await host.clock.advance(60_000);
        await Promise.all(asked.map(({ done }) => done));
        expect(host.usedBytes).toBe(host.othersBytes);
        expect(host.reservedBytes).toBe(0);
        for (const { parts } of asked) {
          answers++;
          expect(parts.filter(({ kind }) => kind === "end").length).toBe(1);
          if (endOf(parts).note !== null) expect(emergencies).toBeGreaterThan(0);
        }
      }),
      { seed, numRuns: 60 },
    );
    expect(downs).toBeGreaterThan(30);
    expect(answers).toBeGreaterThan(100);
  }, 60_000);
});
