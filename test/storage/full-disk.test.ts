import { afterEach, expect, test } from "bun:test";
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Ballast } from "../../src/storage/ballast.ts";
import { draftAt, sampleAt } from "./rows.ts";
import { fill, recordedLog, smallDisk, startScript, storageAt, thrownBy, undoAll } from "./scratch.ts";
import { verified } from "./verified.ts";

afterEach(undoAll);

test("a new database on a full disk is refused, with what to do", () => {
  const folder = smallDisk(256);
  if (folder === null) return;
  fill(folder);
  const error = thrownBy(() => storageAt(join(folder, "conductor.db")));
  expect(error).toMatchObject({ code: "STORAGE_DISK_FULL" });
  expect(String(error)).toContain(`df ${folder}`);
});

test("an old database without ballast on a full disk is refused; with ballast it starts and decisions are written", () => {
  const folder = smallDisk(8_192);
  if (folder === null) return;
  const path = join(folder, "conductor.db");
  storageAt(path).close();
  const ballast = new Ballast(`${path}.ballast`);
  expect(ballast.present).toBe(true);
  expect(statSync(ballast.path).blocks * 512).toBeGreaterThanOrEqual(ballast.bytes);
  const filler = fill(folder);

  const storage = storageAt(path);
  expect(storage.status().ballast).toBe("spent");
  const id = storage.decisions.append(draftAt(1));
  expect(storage.status().waitingDecisions).toBe(0);
  expect(storage.decisions.byId(id)).toMatchObject({ id });
  storage.close();

  fill(folder);
  expect(thrownBy(() => storageAt(path))).toMatchObject({ code: "STORAGE_DISK_FULL" });
  rmSync(filler);
  expect(thrownBy(() => storageAt(path))).toBeUndefined();
});

test("a disk that fills up at runtime: nothing throws, decisions go before samples, one line of log, all written later", () => {
  const folder = smallDisk(8_192);
  if (folder === null) return;
  const path = join(folder, "conductor.db");
  const { log, lines } = recordedLog();
  const failures: string[] = [];
  const storage = storageAt(path, { log, onWriteFailure: (kind) => void failures.push(kind) });
  const filler = fill(folder);

  // Samples run into the full disk first: the ballast is dropped, and from then on they are left out.
  let stored = 0;
  for (let tries = 0; tries < 10_000 && storage.status().ballast === "present"; tries++)
    if (storage.samples.insert(sampleAt(stored + 1))) stored++;
  expect(storage.samples.insert(sampleAt(1e6))).toBe(false);

  // The ballast's room is for decisions. When it is used up too, they wait in memory.
  const inputs = "x".repeat(30_000);
  const ids: number[] = [];
  while (ids.length < 500 && storage.status().waitingDecisions < 3)
    ids.push(storage.decisions.append(draftAt(ids.length, ["voice"], inputs)));
  expect(ids.length).toBeGreaterThan(13);
  const lastId = ids.at(-1) ?? 0;
  storage.decisions.setOutcome(lastId, { reclaimedBytes: 5 }, 77);
  expect(storage.maintain()).not.toBeNull();

  // What waits is found, in order, with its outcome, before anything is on disk.
  const newest = storage.decisions.list({ limit: 5, plugin: "voice" }).decisions;
  expect(newest.map(({ id }) => id)).toEqual(ids.slice(-5).reverse());
  expect(newest[0]).toMatchObject({ outcome: { reclaimedBytes: 5 }, outcomeAtMs: 77 });
  expect(failures).toContain("samples");
  expect(failures).toContain("decisions");
  const said = lines.filter(
    ({ event, fields }) => event === "storage.write_failed" && fields.kind === "decisions",
  );
  expect(said).toHaveLength(1);

  rmSync(filler);
  storage.maintain();
  expect(storage.status()).toMatchObject({
    waitingDecisions: 0,
    lostDecisions: 0,
    ballast: "present",
    failing: [{ kind: "samples" }],
  });
  expect(storage.samples.insert(sampleAt(2e6))).toBe(true);
  expect(storage.status().failing).toEqual([]);
  storage.close();
  expect(verified(path)).toMatchObject({ decisions: ids.length, broken: null });

  const again = storageAt(path);
  const all = again.decisions.list({ limit: 500 }).decisions.map(({ id }) => id);
  expect(all).toEqual([...ids].reverse());
  expect(again.decisions.byId(lastId)).toMatchObject({ outcome: { reclaimedBytes: 5 } });
  expect(again.samples.latest(10_000)).toHaveLength(stored + 1);
});

test("closing on a full disk keeps what was acknowledged", () => {
  const folder = smallDisk(8_192);
  if (folder === null) return;
  const path = join(folder, "conductor.db");
  const storage = storageAt(path);
  const id = storage.decisions.append(draftAt(1));
  const ballast = new Ballast(`${path}.ballast`);
  ballast.release();
  const filler = fill(folder);
  expect(thrownBy(() => storage.close())).toBeUndefined();
  rmSync(filler);
  expect(storageAt(path).decisions.byId(id)).toMatchObject({ id });
});

test("a full disk under the log file of a killed conductor: refused, or usable as far as that log has room", async () => {
  const folder = smallDisk(8_192);
  if (folder === null) return;
  const path = join(folder, "conductor.db");
  const { child, lines } = startScript("writer-process.ts", path, "write");
  for (let n = 0; n < 5; n++) await lines.next();
  child.kill("SIGKILL");
  await child.exited;
  expect(existsSync(`${path}-wal`)).toBe(true);
  new Ballast(`${path}.ballast`).release();
  const filler = fill(folder);
  // How long the log had grown when it was killed decides; neither way may throw anything else or lose a row.
  const error = thrownBy(() => {
    const storage = storageAt(path);
    storage.decisions.append(draftAt(1));
    storage.close();
  });
  if (error !== undefined) expect(error).toMatchObject({ code: "STORAGE_DISK_FULL" });
  rmSync(filler);
  expect(storageAt(path).decisions.byId(4)).toMatchObject({ id: 4 });
});

test("ballast is not made where it would fill the disk, and half a file is no ballast", () => {
  const folder = smallDisk(3_072);
  if (folder === null) return;
  const ballast = new Ballast(join(folder, "ballast"));
  expect(ballast.ensure()).toBe(false);
  expect(existsSync(ballast.path)).toBe(false);
  writeFileSync(ballast.path, "half");
  expect(ballast.present).toBe(false);
});
