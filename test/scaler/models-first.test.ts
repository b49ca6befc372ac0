import { describe, expect, test } from "bun:test";
import { decide } from "../../src/scaler/decide.ts";
import { Exhaustion } from "../../src/scaler/exhaustion.ts";
import type { GivingFacts, PluginFacts, Policy, Situation } from "../../src/scaler/situation.ts";

const GiB = 2 ** 30;
const policy: Policy = {
  order: ["voice", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
};
const plugin = (name: string): PluginFacts => ({
  name,
  state: "running",
  footprintBytes: GiB,
  learnedBytes: GiB,
});

const giving = (more: Partial<GivingFacts> = {}): GivingFacts => ({
  bytes: 3 * GiB,
  untilMs: 2_000,
  urgent: false,
  who: "the model large",
  ...more,
});

const at = (usedRatio: number, facts: GivingFacts | null, more: Partial<Situation> = {}): Situation => ({
  nowMs: 1_000,
  measured: { usedBytes: usedRatio * 10 * GiB, budgetBytes: 10 * GiB },
  plugins: policy.order.map(plugin),
  shedding: false,
  lastChangeMs: null,
  giving: facts,
  ...more,
});

/** Of 10 GiB: 3 GiB given back bring 85 % to 55 %, and 97 % to 67 %. */
describe("while models give memory back", () => {
  test.each([
    ["enough", 0.85, giving(), {}, "models-first"],
    ["nothing", 0.85, null, {}, "threshold"],
    [
      "just enough: 85 % less 0.51 GiB is under 80 %",
      0.85,
      giving({ bytes: 0.51 * GiB }),
      {},
      "models-first",
    ],
    ["not enough: 85 % less 0.49 GiB is not", 0.85, giving({ bytes: 0.49 * GiB }), {}, "threshold"],
    ["too late", 0.85, giving({ untilMs: 1_000 }), {}, "threshold"],
    [
      "enough for the line and not for the end of an episode at 75 %",
      0.85,
      giving({ bytes: 0.9 * GiB }),
      { shedding: true },
      "threshold",
    ],
    ["in an emergency, after their answers", 0.97, giving(), {}, "emergency"],
    ["in an emergency, killed already", 0.97, giving({ urgent: true }), {}, "models-first"],
    [
      "in an emergency, killed and not enough",
      0.97,
      giving({ urgent: true, bytes: 0.1 * GiB }),
      {},
      "emergency",
    ],
  ] as const)("%s: %d", (_, usedRatio, facts, more, rule) => {
    for (const kind of ["mission", "adaptive"] as const) {
      // The lines of adaptive are set alike, so that the same numbers hold.
      const verdict = decide(at(usedRatio, facts, more), null, { ...policy, kind });
      expect([kind, verdict.rule]).toEqual([kind, rule]);
      if (rule === "models-first") expect(verdict.actions).toEqual([]);
      else expect(verdict.actions[0]).toMatchObject({ kind: "shed", plugin: "voice" });
    }
  });

  test("says who gives how much, and what that comes to", () => {
    expect(decide(at(0.85, giving()), null, policy).reason).toBe(
      "85.0 % of the budget is used, at or over the shed line of 80.0 %, and the model large is about to give back 3.00 GiB, which brings it to 55.0 %",
    );
  });

  test("waiting for them is no exhaustion", () => {
    const exhaustion = new Exhaustion();
    const waits = at(0.85, giving());
    expect(exhaustion.begins(waits, decide(waits, null, policy), policy)).toBe(false);
    const none = at(0.85, null, { plugins: [plugin("stubs")] });
    expect(exhaustion.begins(none, decide(none, null, policy), policy)).toBe(true);
  });
});
