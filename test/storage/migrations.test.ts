import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { ConductorDatabase } from "../../src/storage/database.ts";
import { checkIntegrity } from "../../src/storage/integrity.ts";
import { applicationId, migrate, migrations, pragmaNumber } from "../../src/storage/migrations.ts";
import { openStorageReader } from "../../src/storage/storage.ts";
import { draftAt, sampleAt } from "./rows.ts";
import { afterwards, scratchFolder, storageAt, thrownBy, undoAll } from "./scratch.ts";

afterEach(undoAll);

const fresh = () => join(scratchFolder(), "conductor.db");

function openRaw(path: string): Database {
  const raw = new Database(path, { create: true });
  afterwards(() => raw.close());
  return raw;
}

test("from every older schema the rows survive and the newest is reached", () => {
  for (let version = 1; version < migrations.length; version++) {
    const path = fresh();
    const old = openRaw(path);
    expect(migrate(old, path, migrations.slice(0, version))).toBe(version);
    old.run("INSERT INTO samples (at_ms, memory_used_bytes) VALUES (5, 42)");
    old.close();
    expect(thrownBy(() => openStorageReader(path))).toMatchObject({ code: "STORAGE_MISSING" });

    const storage = storageAt(path);
    expect(storage.samples.latest(1)).toMatchObject([{ atMs: 5, memoryUsedBytes: 42, cpuPercent: null }]);
    expect(storage.decisions.append(draftAt(1))).toBe(1);
    storage.close();
    const raw = openRaw(path);
    expect(pragmaNumber(raw, "user_version")).toBe(migrations.length);
    expect(pragmaNumber(raw, "application_id")).toBe(applicationId);
    raw.close();
  }
});

test("a migration that fails is rolled back, and names itself", () => {
  const path = fresh();
  storageAt(path).close();
  const broken = [
    ...migrations,
    { name: "dead letters", sql: "CREATE TABLE letters (a); CREATE TABLE samples (b);" },
  ];
  const open = (steps: typeof broken) =>
    ConductorDatabase.open(path, { clock: new SystemClock(), steps }).close();
  const error = thrownBy(() => open(broken));
  expect(error).toMatchObject({ code: "STORAGE_MIGRATION" });
  expect(String(error)).toContain("dead letters");
  const raw = openRaw(path);
  expect(pragmaNumber(raw, "user_version")).toBe(migrations.length);
  expect(raw.query("SELECT name FROM sqlite_schema WHERE name = 'letters'").all()).toEqual([]);
  raw.close();
  const mended = [...migrations, { name: "dead letters", sql: "CREATE TABLE letters (a);" }];
  expect(thrownBy(() => open(mended))).toBeUndefined();
  expect(thrownBy(() => storageAt(path))).toMatchObject({ code: "STORAGE_NEWER" });
});

test("a large file is checked table by table, decisions first, until the time is up", () => {
  const path = fresh();
  const storage = storageAt(path);
  storage.samples.insert(sampleAt(1));
  storage.close();
  const raw = openRaw(path);
  let nowMs = 0;
  const limits = { wholeFileBytes: 0, tablesBudgetMs: 25 };
  const report = checkIntegrity(raw, path, () => (nowMs += 10), limits);
  expect(report.uncheckedTables).toEqual([
    "decision_chain",
    "decision_plugins",
    "dead_letters",
    "breaker_moves",
    "breakers",
    "conversations",
    "disabled_plugins",
    "footprints",
    "forecast_trainings",
    "idempotency_keys",
    "integration_metrics",
    "model_orders",
    "model_peaks",
    "promotions",
    "samples",
    "shadow_decisions",
    "shadow_hours",
    "shadows",
    "webhook_dead_letters",
  ]);
  expect(checkIntegrity(raw, path, () => 0, limits).uncheckedTables).toEqual([]);
  expect(checkIntegrity(raw, path, () => 0).uncheckedTables).toEqual([]);
  raw.close();
});
