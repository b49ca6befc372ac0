import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { VirtualClock } from "../../src/clock.ts";
import { draftAt, sampleAt } from "./rows.ts";
import { scratchFolder, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

const fresh = () => join(scratchFolder(), "conductor.db");

const metricsAt = (timestampMs: number, platformName: string) => ({
  timestampMs,
  platformName,
  responseTimeMs: 1,
  errorCount: 0,
  requestCount: 1,
  resourceUsageBytes: null,
});

test("each table is kept for its own age, whatever the names in it", () => {
  const clock = new VirtualClock(1_000);
  const path = fresh();
  const storage = storageAt(path, {
    clock,
    retention: { samplesMs: 100, metricsMs: 300, decisionsMs: 500 },
  });
  for (const atMs of [400, 600, 800, 899, 900, 950]) {
    storage.samples.insert(sampleAt(atMs));
    storage.footprints.insert(
      ["voice", "", "zebra"].map((plugin) => ({ atMs, plugin, bytes: 1, method: "pss" })),
    );
    storage.integrationMetrics.insert([metricsAt(atMs, "discord"), metricsAt(atMs, "android")]);
    storage.decisions.append(draftAt(atMs));
  }
  // Older than 900: 4 samples and 3 x 4 footprints; than 700: 2 x 2 metrics; than 500: 1 decision.
  expect(storage.maintain()?.deletedRows).toBe(4 + 12 + 4 + 1);
  expect(storage.samples.latest(9).map(({ atMs }) => atMs)).toEqual([900, 950]);
  for (const plugin of ["voice", "", "zebra"])
    expect(storage.footprints.range(plugin, 0, 1e6).map(({ atMs }) => atMs)).toEqual([900, 950]);
  expect(storage.integrationMetrics.range("android", 0, 1e6)).toHaveLength(4);
  expect(storage.decisions.list({ plugin: "voice" }).decisions).toHaveLength(5);
  expect(storage.maintain()?.deletedRows).toBe(0);
  storage.close();
  const raw = new Database(path);
  expect(raw.query("SELECT count(*) AS links FROM decision_plugins").get()).toEqual({ links: 5 });
  raw.close();
});

test("a step deletes at most 500 rows of a table, and many steps get there", () => {
  const clock = new VirtualClock(1e9);
  const storage = storageAt(fresh(), { clock, retention: { samplesMs: 1, metricsMs: 1, decisionsMs: 1 } });
  for (let n = 0; n < 1_200; n++) storage.samples.insert(sampleAt(n));
  const steps = [1, 2, 3, 4].map(() => storage.maintain()?.deletedRows);
  expect(steps).toEqual([500, 500, 200, 0]);
});

test("over its bound the database shrinks: the oldest samples go, decisions stay, the file gives space back", () => {
  const path = fresh();
  const clock = new VirtualClock(1e12);
  const storage = storageAt(path, { clock, maxBytes: 2 ** 20 });
  const names = Array.from({ length: 20 }, (_, index) => `plugin-${index}-${"n".repeat(40)}`);
  for (let n = 1; n <= 3_000; n++) {
    storage.samples.insert(sampleAt(n));
    storage.footprints.insert(names.map((plugin) => ({ atMs: n, plugin, bytes: n, method: "pss" })));
  }
  const id = storage.decisions.append(draftAt(1));
  const before = storage.status().size.databaseBytes;
  expect(before).toBeGreaterThan(4 * 2 ** 20);
  for (let step = 0; step < 40; step++) storage.maintain();
  const { databaseBytes, freeBytes } = storage.status().size;
  expect(databaseBytes - freeBytes).toBeLessThanOrEqual(2 ** 20);
  expect(databaseBytes).toBeLessThan(before / 2);
  expect(storage.decisions.byId(id)).toMatchObject({ id });
  const kept = storage.footprints.range(names[0] ?? "", 0, 1e6).map(({ atMs }) => atMs);
  expect(kept.at(-1)).toBe(3_000);
  expect(kept).toEqual(kept.map((_, index) => 3_000 - kept.length + 1 + index));
  storage.close();
  expect(statSync(path).size).toBeLessThan(before / 2);
}, 20_000);
