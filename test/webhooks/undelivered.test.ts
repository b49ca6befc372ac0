/** Events on their way into the database: gathered, and not lost for a while where it takes nothing. */

import { afterEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { VirtualClock } from "../../src/clock.ts";
import type { WebhookLetters } from "../../src/storage/webhook-letters.ts";
import { Undelivered } from "../../src/webhooks/undelivered.ts";
import { fill, smallDisk, storageAt, undoAll } from "../storage/scratch.ts";

afterEach(undoAll);

function into(letters: WebhookLetters) {
  const clock = new VirtualClock(1_000_000);
  let lost = 0;
  const kept: string[] = [];
  const undelivered = new Undelivered({
    clock,
    letters,
    kept: (webhooks) => kept.push(...webhooks),
    lost: (count) => {
      lost += count;
    },
  });
  let number = 0;
  const add = (count: number, body = "{}") => {
    for (let each = 0; each < count; each++)
      undelivered.add({
        atMs: clock.nowMs(),
        webhook: "ops",
        eventId: `run-${++number}`,
        eventName: "monitor.gap",
        body,
        reason: "too many events waited",
        attempts: 0,
      });
  };
  return { clock, undelivered, add, kept, lost: () => lost };
}

test("a burst is written together, in its order; one that is too much to wait, at once", async () => {
  const { webhookLetters } = storageAt(":memory:");
  const { clock, add, kept, lost } = into(webhookLetters);
  add(300);
  expect(webhookLetters.held().count).toBe(0);
  await clock.advance(50);
  expect(webhookLetters.held().count).toBe(300);
  expect(kept).toEqual(["ops"]);
  add(701);
  await clock.advance(50);
  expect([webhookLetters.held().count, lost()]).toEqual([1_000, 1]);
  add(1_001);
  expect(webhookLetters.list(1)[0]?.eventId).toBe("run-2002");
  expect(lost()).toBe(1_002);
});

test("on a full disk at most 1,000 wait for room, the oldest are lost, and the end counts the rest", async () => {
  const folder = smallDisk(4_096);
  if (folder === null) return;
  const storage = storageAt(join(folder, "conductor.db"));
  const { webhookLetters } = storage;
  const { clock, undelivered, add, lost } = into(webhookLetters);
  const filling = fill(folder);
  add(200, JSON.stringify("x".repeat(1_000)));
  await clock.advance(50);
  expect([webhookLetters.held().count, lost()]).toEqual([0, 0]);
  add(850);
  expect(lost()).toBe(50);
  expect(undelivered.flush()).toBe(false);
  rmSync(filling);
  storage.maintain();
  await clock.advance(5_000);
  expect([webhookLetters.held().count, lost()]).toEqual([1_000, 50]);
  expect(webhookLetters.list(1_000).at(-1)?.eventId).toBe("run-51");
  fill(folder);
  add(500, JSON.stringify("x".repeat(1_000)));
  undelivered.end();
  expect(lost()).toBe(550);
  await clock.advance(60_000);
  expect(webhookLetters.held().count).toBe(1_000);
});
