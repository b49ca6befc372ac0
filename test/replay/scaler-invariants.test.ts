/** What must hold of the scaler on any host: properties over random simulated hosts. */

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { loadKernels } from "../../src/conductor/load-kernels.ts";
import { PolicyRunner, type RunListeners } from "../../src/conductor/policy-runner.ts";
import { ReplayForecasts } from "../../src/conductor/replay-forecast.ts";
import type { Config } from "../../src/config/schema.ts";
import type { HostModel } from "../../src/replay/host.ts";
import { ScalerJudge } from "../../src/replay/scaler-judge.ts";
import { simulate } from "../../src/replay/simulation.ts";
import type { Tally } from "../../src/replay/tally.ts";
import { dependentsFirst } from "../../src/scaler/dependents.ts";
import { neverShed, sheddingOrder } from "../../src/scaler/order.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import type { Situation, Verdict } from "../../src/scaler/situation.ts";
import { choice, hostOf, recipe, settingsOf } from "./random-hosts.ts";

const wasm = (await loadKernels()).kernels;
const js = (await loadKernels("js")).kernels;
const runs = { numRuns: 10 };
/** Two cores are shared by all that runs here. */
setDefaultTimeout(120_000);

interface Seen {
  situation: Situation;
  verdict: Verdict;
}

function run(model: HostModel, settings: Config, listeners: RunListeners, kernels = wasm): Tally {
  const runner = new PolicyRunner(settings, kernels, policyOf(settings.scaler));
  try {
    return runner.run(model, listeners);
  } finally {
    runner.dispose();
  }
}

/** Runs it and yields every verdict with what it was made from. */
function verdictsOn(model: HostModel, settings: Config): Seen[] {
  const seen: Seen[] = [];
  run(model, settings, { onVerdict: (situation, _, verdict) => seen.push({ situation, verdict }) });
  return seen;
}

test("the pressure is real: the random hosts make every kind of decision", () => {
  const rules = new Map<string, number>();
  for (const [made, chosen] of fc.sample(fc.tuple(recipe, choice), { numRuns: 20, seed: 1 }))
    for (const { verdict } of verdictsOn(hostOf(made), settingsOf(chosen)))
      rules.set(verdict.rule, (rules.get(verdict.rule) ?? 0) + 1);
  for (const rule of ["threshold", "continue", "emergency", "forecast", "restore"])
    expect([rule, (rules.get(rule) ?? 0) > 0]).toEqual([rule, true]);
});

test("neither the last, nor a protected one, nor what these require is ever shed", () => {
  fc.assert(
    fc.property(recipe, choice, (made, chosen) => {
      const [model, settings] = [hostOf(made), settingsOf(chosen)];
      for (const { situation, verdict } of verdictsOn(model, settings)) {
        const kept = neverShed(sheddingOrder(situation.plugins, settings.scaler.order));
        const names = [...kept].map(({ name }) => name);
        expect(names).toContain("stubs");
        for (const { kind, plugin } of verdict.actions)
          if (kind === "shed") expect(names).not.toContain(plugin);
      }
    }),
    runs,
  );
});

test("one victim at a time, with what requires it, and the next only after memory was measured without it", () => {
  fc.assert(
    fc.property(recipe, choice, (made, chosen) => {
      const [model, settings] = [hostOf(made), settingsOf(chosen)];
      const moves: { plugin: string; state: string; atMs: number }[] = [];
      const seen: Seen[] = [];
      run(model, settings, {
        onVerdict: (situation, _, verdict) => seen.push({ situation, verdict }),
        onState: (plugin, state, atMs) => moves.push({ plugin, state, atMs }),
      });
      let before: Seen | null = null;
      for (const each of seen) {
        const { situation, verdict } = each;
        if (verdict.rule === "restore") expect(verdict.actions).toHaveLength(1);
        else if (verdict.rule !== "emergency") {
          const victim = situation.plugins.find(({ name }) => name === verdict.actions.at(-1)?.plugin);
          const group = dependentsFirst(victim ? [victim] : [], situation.plugins).map(({ name }) => name);
          for (const { plugin } of verdict.actions) expect(group).toContain(plugin);
        }
        for (const { plugin } of before?.verdict.rule === "restore" ? [] : (before?.verdict.actions ?? [])) {
          const gone = moves.find(
            (move) =>
              move.plugin === plugin &&
              (move.state === "shed" || move.state === "absent") &&
              move.atMs >= (before?.situation.nowMs ?? 0),
          );
          expect(gone?.atMs ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(situation.nowMs);
        }
        before = each;
      }
    }),
    runs,
  );
});

test("nothing is restored without room for it, nor over the restore line", () => {
  fc.assert(
    fc.property(recipe, choice, (made, chosen) => {
      const [model, settings] = [hostOf(made), settingsOf(chosen)];
      const { shedRatio, restoreRatio } = policyOf(settings.scaler);
      for (const { situation, verdict } of verdictsOn(model, settings)) {
        if (verdict.rule !== "restore") continue;
        const { usedBytes, budgetBytes } = situation.measured;
        const taken = (verdict.actions[0]?.expectedBytes ?? 0) + (situation.reservedBytes ?? 0);
        expect(usedBytes / budgetBytes).toBeLessThanOrEqual(restoreRatio);
        expect((usedBytes + taken) / budgetBytes).toBeLessThan(shedRatio);
      }
    }),
    runs,
  );
});

test("reservations are never negative", () => {
  fc.assert(
    fc.property(recipe, choice, (made, chosen) => {
      const [model, settings] = [hostOf(made), settingsOf(chosen)];
      const forecasts = new ReplayForecasts({ ...wasm, forecast: settings.forecast, window: 60 });
      const judge = new ScalerJudge({
        policy: policyOf(settings.scaler),
        forecast: forecasts.next,
        reflex: { slowestMs: 1_000, fastestMs: 50 },
        reservationMs: 30_000,
        horizonMs: 300_000,
      });
      const check = () => expect(judge.reservedBytes).toBeGreaterThanOrEqual(0);
      const { order } = settings.scaler;
      simulate(model, judge, {
        intervalMs: 30_000,
        horizonMs: 300_000,
        order,
        onDecision: check,
        onTick: check,
      });
      forecasts.dispose();
    }),
    runs,
  );
});

/** Every decision, as text. */
function decisionsOf(model: HostModel, settings: Config, kernels: typeof wasm, thorough = false): string {
  const decided: unknown[] = [];
  const onVerdict: RunListeners["onVerdict"] = (...all) => decided.push(all);
  const tally = run(model, settings, { thorough, onVerdict }, kernels);
  return JSON.stringify({ decided, tally });
}

test("the same host gives the same decisions byte for byte, with the WASM and with the JavaScript kernel", () => {
  fc.assert(
    fc.property(recipe, choice, (made, chosen) => {
      const [model, settings] = [hostOf(made), settingsOf(chosen)];
      const once = decisionsOf(model, settings, wasm);
      expect(decisionsOf(model, settings, wasm) === once).toBe(true);
      expect(decisionsOf(model, settings, js) === once).toBe(true);
    }),
    { numRuns: 4 },
  );
});

test("what is skipped where nothing has to be done changes no decision", () => {
  fc.assert(
    fc.property(recipe, choice, (made, chosen) => {
      const [model, settings] = [hostOf(made), settingsOf(chosen)];
      expect(decisionsOf(model, settings, wasm, true) === decisionsOf(model, settings, wasm)).toBe(true);
    }),
    { numRuns: 4 },
  );
});
