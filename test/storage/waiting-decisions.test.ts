import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { draftAt, sampleAt } from "./rows.ts";
import { afterwards, recordedLog, scratchFolder, storageAt, thrownBy, undoAll } from "./scratch.ts";

afterEach(undoAll);

test("while another program locks the file, decisions wait and are found; a refused one does not hold up the rest", () => {
  const path = join(scratchFolder(), "conductor.db");
  const { log, lines } = recordedLog();
  const storage = storageAt(path, { log });
  const { decisions } = storage;
  const stored = decisions.append(draftAt(1, ["voice"]));
  const other = new Database(path);
  afterwards(() => other.close());
  other.run("BEGIN IMMEDIATE");

  const first = decisions.append(draftAt(2, ["voice"]));
  const refused = decisions.append(draftAt(Number.NaN, ["android"]));
  const last = decisions.append(draftAt(3, ["discord"]));
  decisions.setOutcome(stored, { reclaimedBytes: 1 }, 10);
  decisions.setOutcome(last, { reclaimedBytes: 2 }, 11);
  expect(decisions.waiting).toBe(4);
  expect(decisions.byId(stored)).toMatchObject({ outcome: { reclaimedBytes: 1 }, outcomeAtMs: 10 });
  expect(decisions.byId(last)).toMatchObject({ outcome: { reclaimedBytes: 2 }, outcomeAtMs: 11 });
  const ids = (query: Parameters<typeof decisions.list>[0]) =>
    decisions.list(query).decisions.map(({ id }) => id);
  expect(ids({ plugin: "voice" })).toEqual([first, stored]);
  expect(ids({ beforeId: last, plugin: "voice", limit: 1 })).toEqual([first]);
  expect(ids({ beforeId: first })).toEqual([stored]);
  expect(ids({ beforeId: last + 1, plugin: "discord" })).toEqual([last]);

  other.run("ROLLBACK");
  storage.maintain();
  expect(storage.status()).toMatchObject({ waitingDecisions: 0, lostDecisions: 1, failing: [] });
  expect(lines.map(({ event }) => event)).toContain("storage.write_recovered");
  storage.close();
  const again = storageAt(path).decisions;
  expect(again.list().decisions.map(({ id }) => id)).toEqual([last, first, stored]);
  expect(again.byId(refused)).toBeNull();
  expect(again.byId(stored)).toMatchObject({ outcome: { reclaimedBytes: 1 } });
});

test("a write after the end is a failed write, not an exception", () => {
  const failures: string[] = [];
  const storage = storageAt(join(scratchFolder(), "conductor.db"), {
    onWriteFailure: (kind) => void failures.push(kind),
  });
  storage.close();
  expect(storage.samples.insert(sampleAt(1))).toBe(false);
  expect(thrownBy(() => storage.decisions.append(draftAt(1)))).toBeUndefined();
  expect(failures).toEqual(["samples", "decisions"]);
  expect(thrownBy(() => storage.samples.latest(1))).toMatchObject({ code: "STORAGE_IO" });
});

test("a database that is deleted under the conductor is noticed, and said once", () => {
  const path = join(scratchFolder(), "conductor.db");
  const { log, lines } = recordedLog();
  const storage = storageAt(path, { log });
  storage.maintain();
  expect(storage.status().fileIsGone).toBe(false);
  rmSync(path);
  storage.maintain();
  storage.maintain();
  expect(storage.status().fileIsGone).toBe(true);
  expect(lines.filter(({ event }) => event === "storage.file_gone")).toHaveLength(1);
});
