import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { DeadLetter } from "../../src/storage/dead-letter-row.ts";
import type { RedriveEnd } from "../../src/storage/dead-letters.ts";
import { letterAt, roomy } from "./letter-rows.ts";
import { recordedLog, scratchFolder, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

const fresh = () => join(scratchFolder(), "conductor.db");

function lettersIn(path = fresh(), limits = roomy) {
  const storage = storageAt(path, { deadLetters: limits });
  const { deadLetters: letters, deadLetterQueries: queries } = storage;
  const park = (...args: Parameters<typeof letterAt>): number => {
    const { id, problem } = letters.park(letterAt(...args));
    if (id === null) throw new Error(problem.message);
    return id;
  };
  const get = (id: number): DeadLetter => {
    const letter = letters.byId(id);
    if (!letter) throw new Error(`no letter ${id}`);
    return letter;
  };
  return { storage, letters, queries, park, get };
}

const failedAt = (atMs: number, over: Partial<RedriveEnd> = {}): RedriveEnd => ({
  state: "waiting",
  reason: "it threw",
  atMs,
  counts: true,
  attempt: { atMs, plugin: "voice", outcome: "plugin-error", error: "it threw", durationMs: 3 },
  nextAtMs: atMs + 10,
  ...over,
});

describe("a letter", () => {
  test("is read as it was parked, after a restart too", () => {
    const path = fresh();
    const { storage, park, get } = lettersIn(path);
    const payload = { "'; DROP TABLE dead_letters; --": ["\u0000\u2028", null, 1e308], __proto__x: true };
    const id = park(5, { payload, idempotencyKey: "k'1", idempotent: true, type: "a\nb" });
    const before = get(id);
    expect(before).toMatchObject({
      id,
      requestId: "r5",
      platform: "voice",
      type: "a\nb",
      payload,
      headers: { traceparent: "00-1-2-01" },
      idempotencyKey: "k'1",
      idempotent: true,
      kind: "shed",
      state: "waiting",
      held: false,
      redrives: 0,
      parkedAtMs: 5,
      expiresAtMs: 1_000_005,
      attempts: [{ plugin: "voice", outcome: "shed", error: "voice is shed", durationMs: 0.5 }],
      result: null,
    });
    storage.close();
    const again = lettersIn(path);
    expect(again.get(id)).toEqual(before);
    expect(again.letters.held).toEqual({ count: 1, bytes: before.bytes, left: { lost: 0, finished: 0 } });
  });

  test("is claimed once, and closed once", () => {
    const { letters, park, get } = lettersIn();
    const id = park(1);
    expect(letters.claim(id, 2)).toEqual({ changed: 1, problem: null });
    expect(letters.claim(id, 2).changed).toBe(0);
    expect(letters.next("voice", 2)).toBeNull();
    expect(letters.discard(id, 2).changed).toBe(0);
    expect(letters.markSent(id).changed).toBe(1);
    const end = failedAt(3, { state: "answered", result: { said: 1 }, reason: "answered by voice" });
    expect(letters.close(get(id), end).changed).toBe(1);
    expect(letters.close(get(id), end).changed).toBe(0);
    expect(get(id)).toMatchObject({ state: "answered", result: { said: 1 }, redrives: 1, closedAtMs: 3 });
    expect(get(id).attempts).toHaveLength(2);
    expect(letters.release(id, 9).changed).toBe(0);
  });

  test("that failed waits again; poison is released only by hand, and then begins anew", () => {
    const { letters, park, get } = lettersIn();
    const id = park(1);
    letters.claim(id, 2);
    letters.close(get(id), failedAt(3));
    expect(get(id)).toMatchObject({ state: "waiting", redrives: 1, nextAtMs: 13, stateReason: "it threw" });
    letters.claim(id, 20);
    letters.close(get(id), failedAt(21, { state: "poison" }));
    expect(letters.next("voice", 22)).toBeNull();
    expect(letters.release(id, 30).changed).toBe(1);
    expect(get(id)).toMatchObject({ state: "waiting", redrives: 0, nextAtMs: 30 });
  });

  test("keeps the newest 40 attempts and says how many it does not", () => {
    const { letters, park, get } = lettersIn();
    const id = park(1);
    for (let n = 0; n < 50; n++) {
      letters.claim(id, 2);
      letters.close(get(id), failedAt(n));
    }
    const { attempts, attemptsLeftOut } = get(id);
    expect([attempts.length, attemptsLeftOut, attempts.at(-1)?.atMs]).toEqual([40, 11, 49]);
  });

  test("is neither claimed nor released after its time, and expires", () => {
    const { letters, park, get } = lettersIn();
    const id = park(1, { expiresAtMs: 100 });
    park(2, { expiresAtMs: 100, platform: "discord" });
    park(3, { expiresAtMs: 101 });
    expect(letters.next("voice", 99)?.id).toBe(id);
    expect(letters.claim(id, 100).changed).toBe(0);
    expect(letters.release(id, 100).changed).toBe(0);
    expect(letters.sweep(100)).toEqual(
      new Map([
        ["voice", 1],
        ["discord", 1],
      ]),
    );
    expect(get(id)).toMatchObject({ state: "expired", closedAtMs: 100 });
    expect(letters.sweep(100)).toEqual(new Map());
  });
});

test("the next letter is the oldest of its platform, also while it has to wait", () => {
  const { letters, park } = lettersIn();
  const first = park(1, { nextAtMs: 500 });
  const second = park(2);
  park(3, { platform: "discord" });
  expect(letters.next("voice", 10)?.id).toBe(first);
  letters.claim(first, 10);
  expect(letters.next("voice", 10)?.id).toBe(second);
  expect(letters.platformsWaiting().sort()).toEqual(["discord", "voice"]);
});

test("lists by page and by every filter, exports in order, counts by state", async () => {
  const { storage, queries, park } = lettersIn();
  const platforms = ["voice", "discord", "voi'ce", "%"];
  for (let n = 0; n < 12; n++)
    park(n, { platform: platforms[n % 4] ?? "", kind: n % 2 ? "timeout" : "shed" });
  const ids = (query = {}) => queries.list(query).deadLetters.map(({ id }) => id);
  expect(ids()).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  expect(ids({ platform: "voi'ce" })).toEqual([11, 7, 3]);
  expect(ids({ platform: "%" })).toEqual([12, 8, 4]);
  expect(ids({ kind: "timeout", sinceMs: 7 })).toEqual([12, 10, 8]);
  expect((await storage.deadLetterOrders.discard({ platform: "discord" }, 50)).changed).toBe(3);
  expect(ids({ state: "discarded", limit: 2 })).toEqual([10, 6]);
  expect(queries.list({ limit: 5, beforeId: 10 })).toMatchObject({ nextBeforeId: 5 });
  expect(queries.list({ limit: 5, beforeId: 3 }).nextBeforeId).toBeNull();
  expect(queries.list({ limit: -3 }).deadLetters).toHaveLength(1);
  expect(queries.after({ kind: "shed" }, 4, 2).map(({ id, payload }) => [id, payload])).toEqual([
    [5, { text: "hello" }],
    [7, { text: "hello" }],
  ]);
  expect(queries.counts()).toEqual({
    waiting: 9,
    redriving: 0,
    answered: 0,
    poison: 0,
    discarded: 3,
    expired: 0,
    held: 0,
  });
});

test("orders to many go in steps and change each letter once, those that came meanwhile too", async () => {
  const { storage, letters, queries, park } = lettersIn();
  for (let n = 1; n <= 1_201; n++) park(n, { platform: n % 2 ? "voice" : "discord", nextAtMs: 1e6 });
  const { deadLetterOrders: orders } = storage;
  const releasing = orders.release({}, 2_000);
  park(3_000);
  expect(await releasing).toEqual({ changed: 1_202, problem: null });
  expect(letters.next("discord", 2_000)).toMatchObject({ id: 2, nextAtMs: 2_000 });
  expect((await orders.release({}, 1e9)).changed).toBe(0);
  expect((await orders.discard({ platform: "voice" }, 2_000)).changed).toBe(602);
  expect(queries.counts()).toMatchObject({ waiting: 600, discarded: 602 });
  storage.close();
  expect(await orders.discard({}, 1)).toMatchObject({ changed: 0, problem: { code: "STORAGE_IO" } });
});

describe("the bounds", () => {
  test("by number: the oldest finished ones leave first, then the oldest, never one that is redriven", () => {
    const { letters, queries, park, get } = lettersIn(fresh(), { ...roomy, maxCount: 4 });
    for (let n = 1; n <= 4; n++) park(n);
    letters.claim(1, 5);
    letters.discard(3, 5);
    park(5);
    expect(letters.byId(3)).toBeNull();
    park(6);
    expect(letters.byId(2)).toBeNull();
    expect(get(1).state).toBe("redriving");
    expect(queries.list().deadLetters.map(({ id }) => id)).toEqual([6, 5, 4, 1]);
    expect(letters.held).toMatchObject({ count: 4, left: { lost: 1, finished: 1 } });
  });

  test("by bytes, results counted; one that is larger than all is refused and nothing leaves for it", () => {
    const { letters, park, get } = lettersIn(fresh(), { ...roomy, maxBytes: 10_000 });
    const big = { payload: "x".repeat(3_000) };
    for (let n = 1; n <= 3; n++) park(n, big);
    expect(letters.held.count).toBe(2);
    letters.claim(3, 9);
    letters.close(get(3), failedAt(9, { state: "answered", result: "y".repeat(2_000) }));
    expect(letters.held.bytes).toBe(get(2).bytes + get(3).bytes);
    expect(get(3).bytes).toBeGreaterThan(5_000);
    const refused = letters.park(letterAt(5, { payload: "x".repeat(10_000) }));
    expect(refused).toMatchObject({ id: null, problem: { code: "DEAD_LETTER_TOO_LARGE" } });
    expect(letters.held.count).toBe(2);
  });

  test("by age, whatever the state, 100 in a step", () => {
    const { letters, park } = lettersIn(fresh(), { ...roomy, maxAgeMs: 1_000 });
    for (let n = 1; n <= 150; n++) park(n);
    letters.sweep(1_150);
    expect(letters.held.count).toBe(50);
    letters.sweep(1_150);
    expect(letters.held).toMatchObject({ count: 0, bytes: 0, left: { lost: 150 } });
  });
});

test("claims of a conductor that ended: unsent ones wait again, sent ones only where that does no harm", () => {
  const path = fresh();
  const { storage, letters, park, get } = lettersIn(path);
  const unsent = park(1);
  const harmless = park(2, { idempotent: true });
  const unknown = park(3);
  const often = park(4, { idempotent: true });
  for (let n = 0; n < 2; n++) {
    letters.claim(often, 5);
    letters.close(get(often), failedAt(5));
  }
  for (const id of [unsent, harmless, unknown, often]) letters.claim(id, 6);
  for (const id of [harmless, unknown, often]) letters.markSent(id);
  storage.close();

  const again = lettersIn(path);
  expect(again.letters.recover(7, 3)).toEqual({ waiting: 2, held: 1, poison: 1 });
  expect(again.get(unsent)).toMatchObject({ state: "waiting", held: false, redrives: 0, sent: false });
  expect(again.get(harmless)).toMatchObject({ state: "waiting", held: false, redrives: 1 });
  expect(again.get(unknown)).toMatchObject({ state: "waiting", held: true, redrives: 1 });
  expect(again.get(unknown).stateReason).toContain("a person has to redrive or discard it");
  expect(again.get(often)).toMatchObject({ state: "poison", redrives: 3 });
  expect(again.letters.next("voice", 8)?.id).toBe(unsent);
  expect(again.queries.counts()).toMatchObject({ waiting: 3, held: 1, poison: 1, redriving: 0 });
  expect(again.letters.recover(9, 3)).toEqual({ waiting: 0, held: 0, poison: 0 });
  expect(again.letters.release(unknown, 9).changed).toBe(1);
  expect(again.get(unknown)).toMatchObject({ held: false, redrives: 0 });
});

test("what is written alongside is there with the letter, or neither is", () => {
  const { storage, letters } = lettersIn();
  const { idempotencyKeys: keys } = storage;
  keys.reserve("k", "h", 1);
  const { id } = letters.park(letterAt(1), (letter) => keys.finishWithin("k", String(letter)));
  expect(keys.find("k", 2)).toEqual({ bodyHash: "h", answer: String(id) });
  const refuse = () =>
    letters.park(letterAt(2), () => {
      throw new Error("a fault of the program");
    });
  expect(refuse).toThrow("a fault");
  expect(storage.deadLetterQueries.list().deadLetters).toHaveLength(1);
  expect(letters.held.count).toBe(1);
});

test("a closed or unwritable database is a problem that is told, not an exception", () => {
  const { log, lines } = recordedLog();
  const storage = storageAt(fresh(), { log });
  const { deadLetters: letters } = storage;
  letters.park(letterAt(1));
  storage.close();
  expect(letters.park(letterAt(2))).toMatchObject({ id: null, problem: { code: "STORAGE_IO" } });
  expect(letters.claim(1, 2)).toMatchObject({ changed: 0, problem: { code: "STORAGE_IO" } });
  expect(letters.held.count).toBe(1);
  expect(lines.filter(({ event }) => event === "storage.write_failed")).toHaveLength(1);
});
