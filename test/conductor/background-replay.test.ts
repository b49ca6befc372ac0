/** The record replayed in a process of its own: its answer, and when it gives way. */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { BackgroundReplay } from "../../src/conductor/background-replay.ts";
import { loadKernels } from "../../src/conductor/load-kernels.ts";
import { recordReplay } from "../../src/conductor/record-replay.ts";
import { regretByReplay } from "../../src/conductor/regret.ts";
import { configSchema } from "../../src/config/schema.ts";
import { silentLog } from "../../src/log.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { alive, root, until } from "../e2e/running-conductor.ts";
import { recordDay } from "./recorded-day.ts";

const defer = cleanUpAfterEach();
const clock = new SystemClock();
const dayMs = 86_400_000;
const settings = configSchema.parse({});
const acting = policyOf(settings.scaler);
const pair = { acting, shadow: policyOf(configSchema.parse({ scaler: { policy: "adaptive" } }).scaler) };

/** A day is recorded, and this conductor's memory is at half. */
function house(database = "conductor.db") {
  const folder = scratchFolder(defer);
  const untilMs = clock.nowMs();
  const storage = openStorage({
    location: resolveLocation(join(folder, "conductor.db"), {}),
    retention: { samplesMs: 1e12, metricsMs: 1e12, decisionsMs: 1e12 },
    clock,
    log: silentLog,
  });
  defer(() => storage.close());
  recordDay(storage, untilMs);
  const replay = new BackgroundReplay({
    clock,
    selfCommand: [process.execPath, "--no-env-file", join(root, "src/main.ts")],
    database: join(folder, database),
    settings,
    policy: () => acting,
  });
  defer(() => replay.close());
  return { replay, storage, span: { sinceMs: untilMs - dayMs, untilMs } };
}

test("answers what a replay in this process yields, beside the database that is open here", async () => {
  const { replay, storage, span } = house();
  replay.onReading(0.5);
  const replayed = await replay.run(pair, span);
  const { kernels } = await loadKernels();
  const regret = await regretByReplay(storage, pair, span, recordReplay(settings, kernels));
  expect(regret?.gain.low).toBeGreaterThan(0);
  expect(replayed).toEqual({
    outcome: "done",
    regret,
    cost: { replayMs: expect.any(Number), peakBytes: expect.any(Number) },
  });
  const { cost } = replayed as { cost: { replayMs: number; peakBytes: number } };
  console.log(`a day took ${cost.replayMs} ms and ${Math.round(cost.peakBytes / 2 ** 20)} MiB at most`);
  expect(cost.peakBytes).toBeLessThan(300 * 2 ** 20);
}, 30_000);

test("is not begun before memory was read, nor over the restore line", async () => {
  const { replay, span } = house();
  expect(await replay.run(pair, span)).toEqual({ outcome: "put-off", because: "memory is not known now" });
  replay.onReading(0.651);
  expect(await replay.run(pair, span)).toEqual({
    outcome: "put-off",
    because: "memory is at 65.1 %, over the restore line of 65.0 %",
  });
  expect(replay.pid).toBeNull();
});

test("is one at a time, and killed when memory comes to the shed line, not before", async () => {
  const { replay, span } = house();
  replay.onReading(0.65);
  const first = replay.run(pair, span);
  const pid = replay.pid ?? 0;
  expect(await alive(pid)).toBe(true);
  expect(await replay.run(pair, span)).toEqual({ outcome: "put-off", because: "another one is under way" });
  replay.onReading(0.79);
  expect(replay.pid).toBe(pid);
  replay.onReading(0.8);
  expect(await first).toEqual({
    outcome: "put-off",
    because: "memory came to 80.0 %, the shed line is 80.0 %",
  });
  expect([await alive(pid), replay.pid]).toEqual([false, null]);
  replay.onReading(0.5);
  expect(await replay.run(pair, span)).toMatchObject({ outcome: "done" });
}, 30_000);

test("ends with what started it, and begins nothing afterwards", async () => {
  const { replay, span } = house();
  replay.onReading(0.5);
  const running = replay.run(pair, span);
  const pid = replay.pid ?? 0;
  await replay.close();
  expect(await running).toEqual({ outcome: "put-off", because: "conductor ends" });
  await until("it is gone", 5_000, async () => !(await alive(pid)));
  expect(await replay.run(pair, span)).toEqual({ outcome: "put-off", because: "conductor ends" });
});

test("says what was wrong with the record", async () => {
  const { replay, span } = house("missing.db");
  replay.onReading(0.5);
  expect(await replay.run(pair, span)).toMatchObject({
    outcome: "failed",
    because: expect.stringMatching(/^it ended with exit code 1: .*missing\.db/),
  });
}, 30_000);
