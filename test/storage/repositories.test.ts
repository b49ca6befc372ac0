import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { DecisionBacklog } from "../../src/storage/decision-backlog.ts";
import { asJsonText, rowOf } from "../../src/storage/decision-row.ts";
import { openStorageReader } from "../../src/storage/storage.ts";
import { draftAt, sampleAt } from "./rows.ts";
import { scratchFolder, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

const fresh = () => join(scratchFolder(), "conductor.db");
const hourMs = 3_600_000;

test("samples come back as they went in: gaps are null, not zero; no number is a gap", () => {
  const { samples } = storageAt(fresh());
  const gap = { ...sampleAt(2), memoryUsedBytes: null, cpuPercent: null };
  samples.insert(sampleAt(1, 2 ** 52));
  samples.insert(gap);
  samples.insert({ ...sampleAt(3), cpuPercent: Number.NaN, load1: Number.POSITIVE_INFINITY });
  expect(samples.latest(3)).toEqual([
    sampleAt(1, 2 ** 52),
    gap,
    { ...sampleAt(3), cpuPercent: null, load1: null },
  ]);
});

test("range and latest: bounds included, oldest first, limited; a second sample of one time replaces the first", () => {
  const { samples } = storageAt(fresh());
  for (const atMs of [50, 10, 40, 20, 30]) samples.insert(sampleAt(atMs));
  samples.insert(sampleAt(30, 7));
  const times = (rows: { atMs: number }[]) => rows.map(({ atMs }) => atMs);
  const cases: [number[], number[]][] = [
    [times(samples.range(20, 40)), [20, 30, 40]],
    [times(samples.range(20, 40, 2)), [20, 30]],
    [times(samples.range(60, 90)), []],
    [times(samples.range(0, 90, -1)), []],
    [times(samples.range(0, 90, Number.NaN)), []],
    [times(samples.latest(2)), [40, 50]],
    [times(samples.latest(100)), [10, 20, 30, 40, 50]],
    [times(samples.latest(0)), []],
  ];
  for (const [found, expected] of cases) expect(found).toEqual(expected);
  expect(samples.range(30, 30)[0]?.memoryUsedBytes).toBe(7);
});

test("a row that the table refuses is counted, and the next one is stored", () => {
  const failures: string[] = [];
  const storage = storageAt(fresh(), { onWriteFailure: (kind) => void failures.push(kind) });
  expect(storage.footprints.insert([{ atMs: Number.NaN, plugin: "voice", bytes: 1, method: "pss" }])).toBe(
    false,
  );
  expect(failures).toEqual(["footprints"]);
  expect(storage.status().failing).toMatchObject([{ problem: { code: "STORAGE_ROW_REFUSED" } }]);
  expect(storage.footprints.insert([{ atMs: 1, plugin: "voice", bytes: 1, method: "pss" }])).toBe(true);
  expect(storage.status().failing).toEqual([]);
});

test("one bad row takes its whole tick with it: a batch is stored whole or not at all", () => {
  const { footprints } = storageAt(fresh());
  const good = { atMs: 1, plugin: "stubs", bytes: 5, method: "cgroup" };
  expect(footprints.insert([good, { ...good, plugin: "voice", bytes: Number.NaN }])).toBe(false);
  expect(footprints.latest("stubs")).toBeNull();
});

test("recent peaks: the highest of each hour, newest first, of the hours asked for, gaps left out", () => {
  const { footprints } = storageAt(fresh());
  const at = (hour: number, minute: number, bytes: number) => ({
    atMs: hour * hourMs + minute * 60_000,
    plugin: "voice",
    bytes,
    method: "pss",
  });
  footprints.insert([at(100, 0, 5), at(100, 59, 9), at(101, 0, 4), at(104, 10, 7), at(104, 20, 3)]);
  footprints.insert([{ ...at(104, 15, 999), plugin: "discord" }]);
  expect(footprints.recentPeaks("voice", 24)).toEqual([7, 4, 9]);
  expect(footprints.recentPeaks("voice", 4)).toEqual([7, 4]);
  expect(footprints.recentPeaks("voice", 1)).toEqual([7]);
  expect(footprints.recentPeaks("voice", 0)).toEqual([]);
  expect(footprints.recentPeaks("android", 24)).toEqual([]);
  expect(footprints.latest("voice")).toEqual(at(104, 20, 3));
  expect(footprints.range("voice", 0, 101 * hourMs)).toHaveLength(3);
});

test("integration_metrics has exactly the named columns, MB of 2^20 bytes, null for what was not measured", () => {
  const path = fresh();
  const storage = storageAt(path);
  const row = {
    timestampMs: 1_000,
    platformName: "discord",
    responseTimeMs: 12.5,
    errorCount: 1,
    requestCount: 20,
    resourceUsageBytes: 3 * 2 ** 20,
  };
  const idle = {
    ...row,
    timestampMs: 2_000,
    responseTimeMs: null,
    requestCount: 0,
    resourceUsageBytes: null,
  };
  expect(storage.integrationMetrics.insert([row, idle])).toBe(true);
  expect(storage.integrationMetrics.range("discord", 0, 5_000)).toEqual([row, idle]);
  storage.close();
  const raw = new Database(path);
  expect(raw.query("SELECT * FROM integration_metrics ORDER BY timestamp LIMIT 1").get()).toEqual({
    timestamp: 1_000,
    platform_name: "discord",
    response_time_ms: 12.5,
    error_count: 1,
    request_count: 20,
    resource_usage_mb: 3,
  });
  raw.close();
});

test("a decision comes back whole, with its outcome later, by id, by cursor and by plugin", () => {
  const path = fresh();
  const { decisions } = storageAt(path);
  const owners = [["voice"], ["android"], ["voice", "discord"], [], ["voice", "voice"]];
  const ids = owners.map((plugins, index) => decisions.append(draftAt(index, plugins)));
  expect(ids).toEqual([1, 2, 3, 4, 5]);
  expect(decisions.byId(3)).toEqual({
    ...(draftAt(2, ["voice", "discord"]) as object),
    id: 3,
    outcome: null,
    outcomeAtMs: null,
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
  } as never);
  decisions.setOutcome(3, { reclaimedBytes: 9 }, 500);
  expect(decisions.byId(3)).toMatchObject({ outcome: { reclaimedBytes: 9 }, outcomeAtMs: 500 });
  expect(decisions.byId(99)).toBeNull();

  const found = (query: Parameters<typeof decisions.list>[0]) => {
    const page = decisions.list(query);
    return [page.decisions.map(({ id }) => id), page.nextBeforeId];
  };
  expect(found({})).toEqual([[5, 4, 3, 2, 1], null]);
  expect(found({ limit: 2 })).toEqual([[5, 4], 4]);
  expect(found({ limit: 2, beforeId: 4 })).toEqual([[3, 2], 2]);
  expect(found({ plugin: "voice" })).toEqual([[5, 3, 1], null]);
  expect(found({ plugin: "voice", limit: 1, beforeId: 5 })).toEqual([[3], 3]);
  expect(found({ plugin: "nobody" })).toEqual([[], null]);

  const reader = openStorageReader(path);
  expect(reader.decisions.byId(3)).toEqual(decisions.byId(3));
  reader.close();
});

test("an id is never given twice, not even when retention took the newest decision", () => {
  const path = fresh();
  const first = storageAt(path);
  for (let n = 0; n < 3; n++) first.decisions.append(draftAt(n));
  first.close();
  const raw = new Database(path);
  raw.run("DELETE FROM decisions");
  raw.close();
  expect(storageAt(path).decisions.append(draftAt(9))).toBe(4);
});

test("a damaged row is reported, and the others are still read", () => {
  const path = fresh();
  const first = storageAt(path);
  for (let n = 0; n < 3; n++) first.decisions.append(draftAt(n));
  first.close();
  const raw = new Database(path);
  raw.run("UPDATE decisions SET inputs = '{broken' WHERE id = 2");
  raw.close();
  const { decisions } = storageAt(path);
  const page = decisions.list();
  expect(page.decisions.map(({ id }) => id)).toEqual([3, 1]);
  expect(page.unreadable).toMatchObject([{ id: 2, problem: expect.stringContaining("inputs") }]);
  expect(decisions.byId(2)).toContain("inputs");
});

test("what JSON cannot hold, or is too long, is named instead of thrown", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  expect(JSON.parse(asJsonText(cycle))).toHaveProperty("unserialisable");
  expect(JSON.parse(asJsonText(1n))).toHaveProperty("unserialisable");
  expect(asJsonText(undefined)).toBe("null");
  expect(JSON.parse(asJsonText("x".repeat(70_000)))).toEqual({ truncated: true, characters: 70_002 });
});

test("any JSON goes through the audit unchanged", () => {
  const { decisions } = storageAt(fresh());
  fc.assert(
    fc.property(fc.jsonValue(), (inputs) => {
      const id = decisions.append(draftAt(1, ["voice"], inputs));
      const read = decisions.byId(id);
      expect(typeof read === "object" && read?.inputs).toEqual(JSON.parse(JSON.stringify(inputs)));
    }),
    { numRuns: 60, seed: 20_261 },
  );
});

test("the backlog keeps to its bounds, loses the oldest first, and counts them", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }), (sizes) => {
      const backlog = new DecisionBacklog({ decisions: 10, characters: 2_000, outcomes: 3 });
      sizes.forEach((size, id) => {
        backlog.push(rowOf(id, draftAt(id, [], "x".repeat(size))));
        backlog.pushOutcome(id, { outcome: "1", outcomeAtMs: 1 });
      });
      const ids = backlog.rows.map(({ id }) => id);
      expect(ids.length).toBeLessThanOrEqual(10);
      expect(ids).toEqual(ids.map((_, index) => sizes.length - ids.length + index));
      expect(backlog.outcomes.size).toBe(Math.min(3, sizes.length));
      expect(backlog.lost).toBe(sizes.length - ids.length + Math.max(0, sizes.length - 3));
    }),
    { seed: 4 },
  );
});
