/** Agreement and regret from a record. */

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Invocation } from "../../src/cli/command.ts";
import { compareShadow } from "../../src/cli/compare-shadow.ts";
import { SystemClock } from "../../src/clock.ts";
import type { ReplayPolicy } from "../../src/conductor/regret.ts";
import { scaler } from "../../src/config/scaler-schema.ts";
import { silentLog } from "../../src/log.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { recordDay } from "../conductor/recorded-day.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";

const defer = cleanUpAfterEach();
const hourMs = 3_600_000;
const late = policyOf(scaler.parse({ policy: "adaptive" }));

/** A folder with the record of a shadow that was watched for two days. */
function recorded(withMemory = false): { folder: string; nowMs: number } {
  const folder = scratchFolder(defer);
  const clock = new SystemClock();
  const nowMs = clock.nowMs();
  const storage = openStorage({
    location: resolveLocation(join(folder, "conductor.db"), {}),
    retention: { samplesMs: 1e12, metricsMs: 1e12, decisionsMs: 1e12 },
    clock,
    log: silentLog,
  });
  if (withMemory) recordDay(storage, nowMs);
  storage.shadows.watch("late", late, nowMs - 48 * hourMs);
  storage.shadows.count("late", nowMs - 30 * hourMs, 50, 50);
  storage.shadows.count("late", nowMs - 2 * hourMs, 99, 1);
  for (const hoursAgo of [30, 2])
    storage.shadows.insert({
      shadow: "late",
      atMs: nowMs - hoursAgo * hourMs,
      usedRatio: 0.85,
      rule: "hold",
      reason: "nothing to do",
      actions: [],
      actingRule: "threshold",
      actingActions: [{ kind: "shed", plugin: "voice" }],
    });
  storage.close();
  writeFileSync(join(folder, "conductor.yaml"), "storage: { path: conductor.db }\n");
  return { folder, nowMs };
}

async function compared(folder: string, flags: Record<string, string>, replay?: ReplayPolicy) {
  const lines: string[] = [];
  const terminal = { out: (line: string) => lines.push(line), err: () => undefined, redraw: () => undefined };
  const invocation: Invocation = {
    flags,
    positionals: [],
    terminal: { ...terminal, isTerminal: false },
    environment: {},
    folder,
  };
  expect(await compareShadow(invocation, replay)).toBe(0);
  return lines.join("\n");
}

/** `late` is up a little more, in each quarter of a day. */
const replay: ReplayPolicy = async (record, { kind }, { sinceMs, untilMs }) => {
  expect(record.samples.latest(1)).toEqual([]);
  return Array.from({ length: Math.floor((untilMs - sinceMs) / (6 * hourMs)) }, (_, index) => ({
    startMs: sinceMs + index * 6 * hourMs,
    weightedAvailability: kind === "adaptive" ? 0.95 : 0.9 + index / 1_000,
    oomMinutes: 0,
    criticalMinutes: kind === "adaptive" ? 1.5 : 0.25,
    sheds: kind === "adaptive" ? 1 : 3,
  }));
};

describe("compare --shadow", () => {
  test("prints agreement and differences of the time asked for, and the regret on the same stretches", async () => {
    const { folder } = recorded();
    const text = await compared(folder, {}, replay);
    expect(text).toMatch(
      /^the last 168 h\n\nlate, watched since .*\n {2}agreement {2}74\.5 % of 200 readings\n {2}otherwise {2}nothing\n/,
    );
    expect(text).toMatch(/ {2}hold +threshold +2\n/);
    expect(text).toMatch(/ {2}REPLAYED \(8 stretches\) +ACTING +IT\n/);
    expect(text).toMatch(/weighted availability +90\.\d % +95\.0 %\n/);
    expect(text).toMatch(/minutes at or over 95 % +2\.0 +12\.0\n/);
    expect(text).toMatch(/sheds +24 +8\n/);
    expect(text).toMatch(/gain +4\.65 points of weighted availability, 95 % interval 4\.\d\d to 4\.\d\d$/);
  });

  test("of one hour has no old differences and too little to replay, which it says", async () => {
    const { folder } = recorded();
    const { shadows } = JSON.parse(await compared(folder, { since: "3h", output: "json" }, replay));
    expect(shadows).toMatchObject([
      {
        name: "late",
        readings: { agreed: 99, differed: 1 },
        byRule: [{ rule: "hold", actingRule: "threshold", count: 1 }],
        regret: null,
        regretBecause: "too little is recorded",
      },
    ]);
  });

  test("replays the record: on memory that comes to 85 % the later policy keeps the plugin up", async () => {
    const { folder } = recorded(true);
    const { shadows } = JSON.parse(await compared(folder, { output: "json" }));
    const [{ regret }] = shadows;
    expect(regret.stretches).toBe(5);
    expect(regret.acting.sheds).toBeGreaterThanOrEqual(4);
    expect(regret.shadow).toMatchObject({ weightedAvailability: 1, oomMinutes: 0, sheds: 0 });
    expect(regret.acting.weightedAvailability).toBeLessThan(1);
    expect(regret.gain.mean).toBeCloseTo(1 - regret.acting.weightedAvailability, 6);
  });

  test("without a shadow says how to come by one", async () => {
    const folder = scratchFolder(defer);
    const storage = openStorage({
      location: resolveLocation(join(folder, "conductor.db"), {}),
      retention: { samplesMs: 1e12, metricsMs: 1e12, decisionsMs: 1e12 },
      clock: new SystemClock(),
      log: silentLog,
    });
    storage.close();
    writeFileSync(join(folder, "conductor.yaml"), "storage: { path: conductor.db }\n");
    await expect(compared(folder, {})).rejects.toThrow(
      /no shadow policy was watched yet; name one under shadow:/,
    );
  });
});
