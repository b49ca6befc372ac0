import { describe, expect, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";

describe("the ladder", () => {
  test("waits for five minutes of calm, and gives way at 80 %, the last model at 93 %", () => {
    expect(configSchema.parse({}).ladder).toMatchObject({
      stepDown: 0.8,
      lastStepDown: 0.93,
      emergency: 0.95,
      calm: 300_000,
      settle: 10_000,
      finish: 30_000,
      putOff: { initial: 300_000, max: 7_200_000, relapse: 600_000 },
    });
  });

  test.each([
    [{ stepDown: "94%" }, "stepDown", "expected at most ladder.lastStepDown"],
    [{ lastStepDown: "95%" }, "lastStepDown", "expected less than ladder.emergency"],
    [{ hysteresis: "80%" }, "hysteresis", "expected less than ladder.stepDown"],
    [{ putOff: { initial: "3h" } }, "initial", "expected at most ladder.putOff.max"],
    [{ calm: "2d" }, "calm", "expected 0s to 1d"],
    [{ leastContext: 0 }, "leastContext", "expected a whole number from 1 to 2000000"],
  ])("refuses %j", (ladder, key, message) => {
    const { error } = configSchema.safeParse({ ladder });
    expect(error?.issues.map((issue) => [issue.path.at(-1), issue.message])).toEqual([[key, message]]);
  });
});
