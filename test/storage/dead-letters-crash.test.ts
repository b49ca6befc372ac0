/** SIGKILL in the middle of parking and redriving, and a disk that is full: what was acknowledged is there. */

import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { letterAt } from "./letter-rows.ts";
import { afterwards, fill, scratchFolder, smallDisk, startScript, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

test("after SIGKILL every acknowledged letter is there, nothing acknowledged as answered is sent again", async () => {
  const path = join(scratchFolder(), "conductor.db");
  const said = { parked: new Set<number>(), sent: new Set<number>(), answered: new Set<number>() };
  for (const rounds of [60, 3, 201]) {
    const { child, lines } = startScript("letters-process.ts", path);
    const take = (line: string) => {
      const [what = "", id] = line.split(" ");
      if (what in said) said[what as keyof typeof said].add(Number(id));
    };
    for (let n = 0; n < rounds; n++) take((await lines.next()).value ?? "");
    child.kill("SIGKILL");
    await child.exited;
    for await (const line of lines) take(line);

    const raw = new Database(path);
    expect(raw.query("PRAGMA quick_check").values()).toEqual([["ok"]]);
    raw.close();
    const storage = storageAt(path);
    const { deadLetters: letters, deadLetterQueries: queries } = storage;
    const claimed = queries.after({ state: "redriving" }, 0, 500);
    expect(claimed.length).toBeLessThanOrEqual(1);
    letters.recover(5, 5);
    for (const id of said.parked) expect([id, letters.byId(id)?.requestId]).toEqual([id, expect.any(String)]);
    for (const id of said.answered) expect([id, letters.byId(id)?.state]).toEqual([id, "answered"]);
    for (const id of said.sent) {
      const letter = letters.byId(id);
      const mayBeSentAgain = letter?.state === "waiting" && !letter.held;
      if (mayBeSentAgain) expect([id, letter.idempotent]).toEqual([id, true]);
    }
    const counted = Object.entries(queries.counts()).filter(([state]) => state !== "held");
    expect(letters.held.count).toBe(counted.reduce((sum, [, count]) => sum + count, 0));
    storage.close();
  }
  expect(said.answered.size).toBeGreaterThan(10);
}, 60_000);

test("on a full disk nothing is parked, and the room that is kept for decisions is left alone", () => {
  const folder = smallDisk(8_192);
  if (folder === null) return;
  const path = join(folder, "conductor.db");
  const storage = storageAt(path);
  afterwards(() => storage.close());
  const { deadLetters: letters } = storage;
  const before = letters.park(letterAt(1));
  expect(before.id).toBe(1);
  const filler = fill(folder);
  const parked: number[] = [];
  for (let n = 2; n < 3_000; n++) {
    const { id, problem } = letters.park(letterAt(n, { payload: "x".repeat(10_000) }));
    if (id === null) {
      expect(problem).toMatchObject({ code: "STORAGE_DISK_FULL" });
      break;
    }
    parked.push(id);
  }
  expect(parked.length).toBeLessThan(2_000);
  expect(storage.status().ballast).toBe("present");
  expect(letters.park(letterAt(5, { payload: "x".repeat(10_000) })).id).toBeNull();
  // What was acknowledged can still be claimed and closed: that is small, and has the kept room.
  expect(letters.claim(1, 2).changed).toBe(1);
  expect(letters.markSent(1).changed).toBe(1);
  const claimed = letters.byId(1);
  if (!claimed) throw new Error("the first letter is gone");
  const result = "y".repeat(50_000);
  const end = { atMs: 3, nextAtMs: 3, counts: true, reason: "answered", result, attempt: null } as const;
  expect(letters.close(claimed, { ...end, state: "answered" })).toEqual({ changed: 1, problem: null });
  expect(storage.status().ballast).toBe("spent");
  const bytes = storage.deadLetterQueries.after({}, 0, 500).reduce((sum, letter) => sum + letter.bytes, 0);
  expect(letters.held.bytes).toBe(bytes);
  rmSync(filler);
  storage.maintain();
  const again = letters.park(letterAt(6));
  expect(again.problem).toBeNull();
  storage.close();
  const reopened = storageAt(path).deadLetters;
  for (const id of [...parked, again.id ?? 0]) expect(reopened.byId(id)?.id).toBe(id);
  expect(reopened.held.count).toBe(parked.length + 2);
});
