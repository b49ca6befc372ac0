import { describe, expect, test } from "bun:test";
import { type Acted, countFlaps, judgeEvidence, troubleOf } from "../../src/scaler/promotion.ts";

const dayMs = 86_400_000;
const terms = { afterMs: 7 * dayMs, betterBy: 0.01, differences: 20 };
const better = { mean: 0.02, low: 0.005, high: 0.03 };

test.each([
  [{ watchedMs: 7 * dayMs, differences: 20, gain: better }, true, "and it gains 2.00 points"],
  [{ watchedMs: 6 * dayMs, differences: 20, gain: better }, false, "watched for 144 h, less than 168 h"],
  [{ watchedMs: 8 * dayMs, differences: 19, gain: better }, false, "19 decisions differed, fewer than 20"],
  [{ watchedMs: 8 * dayMs, differences: 99, gain: null }, false, "it was not replayed"],
  [{ watchedMs: 8 * dayMs, differences: 99, gain: { ...better, low: 0 } }, false, "may be chance"],
  [
    { watchedMs: 8 * dayMs, differences: 99, gain: { ...better, mean: 0.009 } },
    false,
    "less than 1.00 points",
  ],
])("evidence %j: enough is %p", (evidence, enough, because) => {
  expect(judgeEvidence(evidence, terms)).toEqual({ enough, because: expect.stringContaining(because) });
});

describe("probation", () => {
  const calm = { emergencies: 0, oomKills: 0, flaps: 3, flapsBefore: 3 };

  test.each([
    [calm, null],
    [{ ...calm, oomKills: null }, null],
    [{ ...calm, oomKills: 1 }, "the kernel killed for memory (1)"],
    [{ ...calm, emergencies: 2 }, "memory came to the emergency line (2)"],
    [{ ...calm, flaps: 4 }, "soon after their restore 4 times, the policy before had 3"],
  ])("%j ends with %p", (probation, trouble) => {
    const found = troubleOf(probation);
    if (trouble === null) expect(found).toBeNull();
    else expect(found).toContain(trouble);
  });

  test("counts a shed within ten minutes of the plugin's restore, where the shed lies in the time", () => {
    const minute = 60_000;
    const at = (minutes: number, kind: Acted["kind"], plugin: string): Acted => ({
      atMs: minutes * minute,
      kind,
      plugin,
    });
    const actions = [
      at(0, "restore", "voice"),
      at(10, "shed", "voice"), // a flap
      at(11, "restore", "voice"),
      at(12, "shed", "android"), // another plugin's
      at(22, "shed", "voice"), // eleven minutes
      at(30, "restore", "voice"),
      at(39, "shed", "voice"), // a flap
    ];
    expect(countFlaps(actions, 0, 100 * minute)).toBe(2);
    expect(countFlaps(actions, 11 * minute, 100 * minute)).toBe(1);
    expect(countFlaps(actions, 0, 39 * minute)).toBe(1);
    expect(countFlaps([], 0, 1)).toBe(0);
  });
});
