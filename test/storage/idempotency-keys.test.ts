import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { scratchFolder, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

const fresh = () => join(scratchFolder(), "conductor.db");
const roomy = { maxKeys: 100, maxBytes: 2 ** 20, ttlMs: 1_000 };

test("an answer is kept under its key, after a restart too, until its time is over", () => {
  const path = fresh();
  const { idempotencyKeys: keys } = storageAt(path, { idempotency: roomy });
  expect(keys.find("k", 1)).toBeNull();
  expect(keys.reserve("k'--", "h", 1)).toBeNull();
  expect(keys.find("k'--", 2)).toEqual({ bodyHash: "h", answer: null });
  expect(keys.finish("k'--", '{"a":1}')).toBeNull();
  expect(keys.find("k'--", 1_000)).toEqual({ bodyHash: "h", answer: '{"a":1}' });
  expect(keys.find("k'--", 1_001)).toBeNull();
  expect(keys.reserve("k'--", "other", 1_001)).toBeNull();
  expect(keys.find("k'--", 1_002)).toEqual({ bodyHash: "other", answer: null });
  expect(keys.count).toBe(1);
});

test("what was under way when conductor ended is forgotten, answers stay", () => {
  const path = fresh();
  const first = storageAt(path, { idempotency: roomy });
  for (const key of ["done", "open"]) first.idempotencyKeys.reserve(key, "h", 1);
  first.idempotencyKeys.finish("done", "1");
  first.close();
  const { idempotencyKeys: keys } = storageAt(path, { idempotency: roomy });
  expect(keys.count).toBe(2);
  expect(keys.forgetUnfinished()).toBeNull();
  expect([keys.find("open", 2), keys.find("done", 2)?.answer, keys.count]).toEqual([null, "1", 1]);
});

test("by number and by bytes the oldest answers leave, never what is under way", () => {
  const { idempotencyKeys: keys } = storageAt(fresh(), { idempotency: { ...roomy, maxKeys: 3 } });
  keys.reserve("open", "h", 1);
  for (const key of ["a", "b", "c", "d"]) {
    keys.reserve(key, "h", 1);
    keys.finish(key, "1");
  }
  expect(["open", "a", "b", "c", "d"].filter((key) => keys.find(key, 2))).toEqual(["open", "c", "d"]);

  const small = storageAt(fresh(), { idempotency: { ...roomy, maxBytes: 5_000 } }).idempotencyKeys;
  for (const key of ["a", "b", "c"]) {
    small.reserve(key, "h", 1);
    small.finish(key, JSON.stringify("x".repeat(2_000)));
  }
  expect(["a", "b", "c"].filter((key) => small.find(key, 2))).toEqual(["b", "c"]);
});

test("old answers leave when new ones come, 100 at a time", () => {
  const { idempotencyKeys: keys } = storageAt(fresh(), { idempotency: { ...roomy, maxKeys: 1_000 } });
  for (let n = 0; n < 150; n++) {
    keys.reserve(`k${n}`, "h", 1);
    keys.finish(`k${n}`, "1");
  }
  keys.reserve("late", "h", 5_000);
  expect(keys.count).toBe(51);
  keys.forget("late");
  expect(keys.count).toBe(50);
});
