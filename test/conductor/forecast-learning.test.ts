/** What the adaptive forecast learned: kept over restarts, trained anew on what is stored, and the record of it. */

import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sampleAt } from "../storage/rows.ts";
import { scratchFolder, storageAt, undoAll } from "../storage/scratch.ts";
import {
  budgetBytes,
  type LearningOptions,
  learningForecast,
  startMs,
  stepMs,
  storeSamples,
  usedBytesAt,
} from "./learning-forecast.ts";

afterEach(undoAll);

const fileOf = (folder: string): string => join(folder, "forecast.state");
/** Longer than a training of these lengths takes. */
const trainingMs = 5_000;

function fresh(stored = 0) {
  const folder = scratchFolder();
  const storage = storageAt(join(folder, "c.db"));
  storeSamples(storage, stored, startMs);
  return { folder, storage };
}

/** A forecast that has learned from `stored` samples and was stopped. */
async function learned(options: LearningOptions) {
  const made = learningForecast(options);
  made.learning.begin(budgetBytes);
  await made.clock.advance(trainingMs);
  made.learning.stop();
  return made;
}

describe("without a saved state", () => {
  test("it is trained on what is stored, and the record says so", async () => {
    const { folder, storage } = fresh(1_500);
    const { forecast, trained } = await learned({ folder, storage });
    expect(forecast.mix()).toMatchObject({ points: 1_500, calibration: "calibrated" });
    expect(forecast.mix()?.value).toBeWithin(47, 53);
    expect(trained).toMatchObject([
      { trigger: "start", reason: "nothing was saved", adopted: true, points: 1_500, errorBefore: null },
    ]);
    expect(storage.trainings.latest(10)).toMatchObject([{ trigger: "start", adopted: 1, points: 1_500 }]);
  });

  test("and with nothing stored either, nothing is recorded, and it learns from what comes", async () => {
    const { folder, storage } = fresh();
    const { forecast, trained } = await learned({ folder, storage });
    expect([forecast.mix(), trained]).toEqual([null, []]);
    forecast.observe(startMs + trainingMs, 0.5);
    expect(forecast.mix()?.points).toBe(1);
  });

  test("training takes slices: the loop goes on in between", async () => {
    const { folder, storage } = fresh(1_000);
    const { learning, clock, forecast, trained } = learningForecast({ folder, storage });
    learning.begin(budgetBytes);
    await clock.advance(50);
    expect(trained).toEqual([]);
    forecast.observe(clock.nowMs(), 0.5);
    storage.samples.insert(sampleAt(clock.nowMs(), budgetBytes / 2));
    await clock.advance(trainingMs);
    // The sample that came in the meantime is learned from too.
    expect(forecast.mix()?.points).toBe(1_001);
    learning.stop();
  });

  test("samples of another budget count as shares of the one in force", async () => {
    const { folder, storage } = fresh(200);
    const made = learningForecast({ folder, storage });
    made.learning.begin(2 * budgetBytes);
    await made.clock.advance(trainingMs);
    expect(made.forecast.mix()?.value).toBeWithin(23, 27);
    made.learning.stop();
  });
});

describe("a saved state", () => {
  test("is gone on with, to the last bit", async () => {
    const { folder, storage } = fresh(400);
    const first = await learned({ folder, storage });
    expect(statSync(fileOf(folder)).mode & 0o777).toBe(0o600);
    const second = learningForecast({ folder, storage, nowMs: startMs + 60_000 });
    second.learning.begin(budgetBytes);
    expect(second.forecast.adaptive.save()).toEqual(first.forecast.adaptive.save());
    for (const { forecast } of [first, second])
      for (let i = 1; i < 50; i++)
        forecast.observe(startMs + i * stepMs, usedBytesAt(startMs + i * stepMs) / budgetBytes);
    // The line began anew, and is one of the experts: their forecasts differ, what was learned does not.
    expect(second.forecast.mix()?.judged).toBe(first.forecast.mix()?.judged as number);
    expect(second.trained).toEqual([]);
    expect(second.lines.map(({ event }) => event)).toEqual(["forecast.state_restored"]);
    second.learning.stop();
  });

  const spoiled: [string, (bytes: Buffer) => Uint8Array, RegExp][] = [
    ["of another version", (bytes) => swap(bytes, '"version":1', '"version":9'), /version 9, not 1/],
    ["with one bit turned", (bytes) => turned(bytes, bytes.length - 1_000), /checksum/],
    ["cut short", (bytes) => bytes.subarray(0, bytes.length - 8), /holds \d+ bytes, not \d+/],
    ["that is empty", () => new Uint8Array(), /not a forecast's state/],
    ["of something else", () => Buffer.from('{"format":"notes"}\n'), /not a forecast's state/],
    ["of text without an end", () => Buffer.alloc(9_000, "x"), /not a forecast's state/],
  ];
  test.each(spoiled)("%s is refused and rebuilt from storage", async (_, spoil, because) => {
    const { folder, storage } = fresh(300);
    await learned({ folder, storage });
    writeFileSync(fileOf(folder), spoil(readFileSync(fileOf(folder))));
    const { forecast, trained, lines } = await learned({ folder, storage });
    expect(forecast.mix()?.points).toBe(300);
    expect(trained).toMatchObject([{ trigger: "state", adopted: true, points: 300 }]);
    expect(trained[0]?.reason).toMatch(because);
    expect(lines[0]).toMatchObject({ level: "warn", event: "forecast.state_refused" });
  });

  test("of another horizon or another budget is refused", async () => {
    const { folder, storage } = fresh(300);
    await learned({ folder, storage });
    const horizon = await learned({ folder, storage, horizonSeconds: 600 });
    expect(horizon.trained[0]?.reason).toContain("its horizon is 300 s, not 600");
    const budget = learningForecast({ folder, storage, horizonSeconds: 600 });
    budget.learning.begin(budgetBytes / 2);
    await budget.clock.advance(trainingMs);
    expect(budget.trained[0]?.reason).toMatch(/its budget is \d+ bytes, not \d+/);
    budget.learning.stop();
  });

  test("that is a link or a folder is not followed", async () => {
    const { folder, storage } = fresh(300);
    symlinkSync("/etc/hostname", fileOf(folder));
    const { trained } = await learned({ folder, storage });
    expect(trained).toMatchObject([{ trigger: "state", points: 300 }]);
    expect(statSync(fileOf(folder)).size).toBeGreaterThan(10_000);
    expect(readFileSync("/etc/hostname").length).toBeLessThan(1_000);
  });

  test.skipIf(process.getuid?.() === 0)("that cannot be written is said once", async () => {
    const { folder, storage } = fresh(300);
    chmodSync(folder, 0o500);
    const { lines } = await learned({ folder, storage });
    chmodSync(folder, 0o700);
    expect(lines.filter(({ event }) => event === "forecast.state_not_saved")).toHaveLength(1);
  });

  test("is saved every ten minutes, and not at all without a folder", async () => {
    const { folder, storage } = fresh(300);
    const made = learningForecast({ folder, storage });
    made.learning.begin(budgetBytes);
    await made.clock.advance(599_000);
    expect(existsSync(fileOf(folder))).toBe(false);
    await made.clock.advance(2_000);
    expect(existsSync(fileOf(folder))).toBe(true);
    made.learning.stop();
    const kept = await learned({ folder: null, storage });
    expect(kept.trained).toMatchObject([{ trigger: "start" }]);
  });
});

describe("trained anew", () => {
  test("on schedule, adopted while its error is no larger", async () => {
    const { folder, storage } = fresh(600);
    const { learning, clock, trained } = learningForecast({ folder, storage });
    learning.begin(budgetBytes);
    await clock.advance(86_400_000 + trainingMs);
    expect(trained).toMatchObject([
      { trigger: "start", adopted: true },
      { trigger: "schedule", reason: "it was time", adopted: true, points: 600 },
    ]);
    learning.stop();
  });

  test("on schedule, and left alone when its error is larger", async () => {
    const { folder, storage } = fresh(600);
    const { learning, clock, trained, forecast } = learningForecast({ folder, storage });
    learning.begin(budgetBytes);
    await clock.advance(trainingMs);
    // What is stored from here on jumps about, and what is observed rests.
    for (let i = 0; i < 400; i++) {
      const atMs = startMs + trainingMs + i * stepMs;
      forecast.observe(atMs, 0.5);
      storage.samples.insert(sampleAt(atMs, budgetBytes * (i % 40 < 20 ? 0.1 : 0.9)));
    }
    const kept = forecast.adaptive;
    await clock.advance(86_400_000);
    expect(trained.at(-1)).toMatchObject({ trigger: "schedule", adopted: false });
    expect(forecast.adaptive).toBe(kept);
    learning.stop();
  });

  test("when the budget changes", async () => {
    const { folder, storage } = fresh(300);
    const { learning, clock, trained, forecast } = learningForecast({ folder, storage });
    learning.begin(budgetBytes);
    await clock.advance(trainingMs);
    learning.budgetChanged(budgetBytes, "it is the same");
    forecast.restart(clock.nowMs(), "it is half as much");
    learning.budgetChanged(budgetBytes / 2, "it is half as much");
    await clock.advance(trainingMs);
    expect(trained.map(({ trigger, reason }) => [trigger, reason])).toEqual([
      ["start", "nothing was saved"],
      ["budget", "it is half as much"],
    ]);
    expect(forecast.mix()?.value).toBeWithin(94, 106);
    learning.stop();
  });

  test("its level follows what is known of the same time", async () => {
    const { folder, storage } = fresh(300);
    const { learning, clock, forecast } = learningForecast({ folder, storage });
    const atMs = startMs - stepMs;
    // A plugin was shed since: of the last sample it is known that it would have been 10 % less.
    forecast.observe(atMs, usedBytesAt(atMs) / budgetBytes - 0.1);
    learning.begin(budgetBytes);
    await clock.advance(trainingMs);
    expect(forecast.mix()).toMatchObject({ points: 300 });
    expect(forecast.mix()?.value).toBeWithin(37, 43);
    learning.stop();
  });
});

const turned = (bytes: Buffer, at: number): Buffer => {
  bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
};
const swap = (bytes: Buffer, from: string, to: string): Buffer =>
  Buffer.from(bytes.toString("latin1").replace(from, to), "latin1");
