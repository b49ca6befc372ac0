/** Events that webhooks did not take: kept in order, within bounds, over a restart. */

import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import type { Storage } from "../../src/storage/storage.ts";
import type { WebhookLetterDraft } from "../../src/storage/webhook-letters.ts";
import { fill, scratchFolder, smallDisk, storageAt, undoAll } from "./scratch.ts";

afterEach(undoAll);

const draft = (number: number, more: Partial<WebhookLetterDraft> = {}): WebhookLetterDraft => ({
  atMs: 1_000 + number,
  webhook: "ops",
  eventId: `run-${number}`,
  eventName: "monitor.gap",
  body: JSON.stringify({ id: `run-${number}` }),
  reason: "HTTP 500, after 3 attempts",
  attempts: 3,
  ...more,
});
const drafts = (from: number, to: number, more: Partial<WebhookLetterDraft> = {}) =>
  Array.from({ length: to - from + 1 }, (_, index) => draft(from + index, more));

const idsOf = ({ webhookLetters }: Storage) => webhookLetters.list(2_000).map(({ eventId }) => eventId);

test("what is kept is there after a restart, as it was, and is found in its order", () => {
  const path = join(scratchFolder(), "conductor.db");
  const first = storageAt(path);
  expect(first.webhookLetters.keep([draft(1), draft(2, { webhook: "other" }), draft(3)])).toEqual({
    lost: 0,
    problem: null,
  });
  first.close();
  const { webhookLetters } = storageAt(path);
  expect(webhookLetters.durable).toBe(true);
  const oldest = webhookLetters.next("ops", 0);
  expect(oldest).toEqual({ ...draft(1), id: 1, redrives: 0, lastError: null, poison: false });
  expect(webhookLetters.next("ops", 1)?.eventId).toBe("run-3");
  expect(webhookLetters.next("ops", 3)).toBeNull();
  expect(webhookLetters.remove(1)).toEqual({ changed: 1, problem: null });
  expect(webhookLetters.remove(1)).toEqual({ changed: 0, problem: null });
  expect(webhookLetters.list(10).map(({ id }) => id)).toEqual([3, 2]);
});

test("over 1,000 the oldest leave, and are counted; an id is not given twice", () => {
  const storage = storageAt(":memory:");
  const { webhookLetters } = storage;
  expect(webhookLetters.durable).toBe(false);
  expect(webhookLetters.keep(drafts(1, 1_000)).lost).toBe(0);
  expect(webhookLetters.keep(drafts(1_001, 1_003)).lost).toBe(3);
  expect(webhookLetters.held().count).toBe(1_000);
  expect([idsOf(storage)[0], idsOf(storage).at(-1)]).toEqual(["run-1003", "run-4"]);
  webhookLetters.remove(1_003);
  webhookLetters.keep([draft(1_004)]);
  expect(webhookLetters.list(1)[0]?.id).toBe(1_004);
});

test("over 4 MiB the oldest leave; one that is larger by itself is not kept, and takes nobody's place", () => {
  const storage = storageAt(join(scratchFolder(), "conductor.db"));
  const { webhookLetters } = storage;
  const mebibyte = { body: JSON.stringify("x".repeat(2 ** 20)) };
  expect(webhookLetters.keep(drafts(1, 3, mebibyte)).lost).toBe(0);
  expect(webhookLetters.keep(drafts(4, 5, mebibyte)).lost).toBe(2);
  expect(idsOf(storage)).toEqual(["run-5", "run-4", "run-3"]);
  const { bytes } = webhookLetters.held();
  expect(bytes).toBeGreaterThan(3 * 2 ** 20);
  expect(bytes).toBeLessThanOrEqual(webhookLetters.limits.maxBytes);
  expect(webhookLetters.keep([draft(6, { body: JSON.stringify("x".repeat(2 ** 22)) })]).lost).toBe(1);
  expect(idsOf(storage)).toEqual(["run-5", "run-4", "run-3"]);
});

test("the age of dead letters is theirs too", () => {
  const deadLetters = { maxCount: 10, maxBytes: 2 ** 20, maxAgeMs: 100 };
  const storage = storageAt(":memory:", { deadLetters });
  storage.webhookLetters.keep(drafts(1, 5));
  expect(storage.webhookLetters.removeAged(1_102)).toEqual({ changed: 2, problem: null });
  expect(idsOf(storage)).toEqual(["run-5", "run-4", "run-3"]);
});

test("after five failures that count a letter is poison, until it is released", () => {
  const { webhookLetters } = storageAt(":memory:");
  webhookLetters.keep([draft(1), draft(2), draft(3, { webhook: "gone" })]);
  for (let number = 0; number < 4; number++) webhookLetters.failed(1, "HTTP 400", true, 5);
  webhookLetters.failed(1, "no answer", false, 5);
  expect(webhookLetters.next("ops", 0)).toMatchObject({ id: 1, redrives: 4, lastError: "no answer" });
  webhookLetters.failed(1, "HTTP 400", true, 5);
  expect(webhookLetters.byId(1)).toMatchObject({ redrives: 5, lastError: "HTTP 400", poison: true });
  expect(webhookLetters.next("ops", 0)?.id).toBe(2);
  expect(webhookLetters.release(["ops"], [2, 3])).toEqual({
    changed: 1,
    problem: null,
    webhooks: new Set(["ops"]),
  });
  expect(webhookLetters.byId(1)?.poison).toBe(true);
  expect(webhookLetters.release(["ops"], null).changed).toBe(2);
  expect(webhookLetters.next("ops", 0)).toMatchObject({ id: 1, redrives: 0, poison: false });
});

test("on a full disk nothing is kept, and none of it is said to be", () => {
  const folder = smallDisk(4_096);
  if (folder === null) return;
  const storage = storageAt(join(folder, "conductor.db"));
  storage.webhookLetters.keep([draft(1)]);
  fill(folder);
  const { lost, problem } = storage.webhookLetters.keep(
    drafts(2, 200, { body: JSON.stringify("x".repeat(4_096)) }),
  );
  expect([lost, problem?.code]).toEqual([0, "STORAGE_DISK_FULL"]);
  expect(idsOf(storage)).toEqual(["run-1"]);
});
