/** When letters are sent again, at which rate, in which order, and when no more: by a clock that is turned by hand. */

import { afterEach, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import type { WebhookLetter } from "../../src/storage/webhook-letters.ts";
import { mostRedrives, Redelivery } from "../../src/webhooks/redelivery.ts";
import type { Verdict } from "../../src/webhooks/verdict.ts";
import { recordedLog, storageAt, undoAll } from "../storage/scratch.ts";

afterEach(undoAll);

const delivered: Verdict = { kind: "delivered" };
const down: Verdict = { kind: "again", reason: "HTTP 503", afterMs: null };
const refused: Verdict = { kind: "refused", reason: "HTTP 400" };

/** `count` letters, and a receiver that answers as `answer` says; with the random number 1 each wait is whole. */
function redelivering(count: number, answer: (id: number) => Verdict | Promise<Verdict>) {
  const clock = new VirtualClock(1_000_000);
  const { webhookLetters: letters } = storageAt(":memory:");
  const add = (number: number) =>
    letters.keep([
      {
        atMs: clock.nowMs(),
        webhook: "ops",
        eventId: `run-${number}`,
        eventName: "monitor.gap",
        body: "{}",
        reason: "HTTP 500",
        attempts: 3,
      },
    ]);
  for (let number = 1; number <= count; number++) add(number);
  const sent: { id: number; atMs: number }[] = [];
  const outcomes: string[] = [];
  const redelivery = new Redelivery(
    "ops",
    { initialMs: 1_000, maxMs: 300_000 },
    {
      clock,
      log: recordedLog().log,
      random: () => 1,
      letters,
      send: async ({ id }: WebhookLetter) => {
        sent.push({ id, atMs: clock.monotonicMs() });
        return answer(id);
      },
      counted: (outcome) => outcomes.push(outcome),
    },
  );
  const ids = () => sent.map(({ id }) => id);
  return { clock, letters, add, sent, ids, outcomes, redelivery };
}

test("what is left of the run before is sent in order, five a second, and is gone", async () => {
  const { clock, letters, sent, outcomes, redelivery } = redelivering(12, () => delivered);
  redelivery.begin();
  await clock.advance(1_000);
  expect(sent).toEqual([1, 2, 3, 4, 5, 6].map((id) => ({ id, atMs: (id - 1) * 200 })));
  await clock.advance(60_000);
  expect(sent).toHaveLength(12);
  expect([letters.held().count, new Set(outcomes)]).toEqual([0, new Set(["redelivered"])]);
});

test("an outage, however long, makes no letter poison, holds their order, and is looked at ever less often", async () => {
  let answer: Verdict = down;
  const { clock, letters, sent, ids, redelivery } = redelivering(3, () => answer);
  redelivery.begin();
  await clock.advance(3_600_000);
  expect(new Set(ids())).toEqual(new Set([1]));
  const waits = sent.slice(1).map(({ atMs }, index) => atMs - (sent[index]?.atMs ?? 0));
  expect(waits.slice(0, 10)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300].map((each) => each * 1_000));
  expect(letters.byId(1)).toMatchObject({ redrives: 0, lastError: "HTTP 503", poison: false });
  answer = delivered;
  await clock.advance(300_000);
  expect(ids().slice(-3)).toEqual([1, 2, 3]);
  expect(letters.held().count).toBe(0);
});

test("of an outage that follows what the receiver took, only the first failure counts", async () => {
  const { clock, letters, sent, redelivery } = redelivering(1, () => down);
  redelivery.received();
  await clock.advance(3_600_000);
  expect(sent.length).toBeGreaterThan(2 * mostRedrives);
  expect(letters.byId(1)).toMatchObject({ redrives: 1, poison: false });
});

test("once the receiver takes an event, the letters follow at once", async () => {
  let answer: Verdict = down;
  const { clock, letters, ids, redelivery } = redelivering(2, () => answer);
  redelivery.begin();
  await clock.advance(1_200_000);
  const before = ids().length;
  answer = delivered;
  redelivery.received();
  await clock.advance(400);
  expect(ids().slice(before)).toEqual([1, 2]);
  expect(letters.held().count).toBe(0);
});

test("one that fails five times while the receiver takes others is poison, and holds nobody up any more", async () => {
  const { clock, letters, sent, outcomes, redelivery } = redelivering(2, (id) =>
    id === 1 ? down : delivered,
  );
  for (let elapsedMs = 0; elapsedMs <= 15_200; elapsedMs += 100) {
    redelivery.received();
    await clock.advance(100);
  }
  expect(sent).toEqual([
    ...[0, 1_000, 3_000, 7_000, 15_000].map((atMs) => ({ id: 1, atMs })),
    { id: 2, atMs: 15_200 },
  ]);
  expect(letters.list(10)).toMatchObject([{ id: 1, redrives: mostRedrives, poison: true }]);
  expect(outcomes).toEqual([...Array(4).fill("redrive-failed"), "poison", "redelivered"]);
});

test("one that is refused lets the next ones pass, and is poison after five times, until a person asks for it", async () => {
  let first: Verdict = refused;
  const { clock, letters, sent, ids, redelivery } = redelivering(3, (id) => (id === 1 ? first : delivered));
  redelivery.begin();
  await clock.advance(1_000);
  expect(ids()).toEqual([1, 2, 3]);
  await clock.advance(7_200_000);
  expect(sent.filter(({ id }) => id === 1)).toHaveLength(mostRedrives);
  expect(letters.list(10)).toMatchObject([{ id: 1, poison: true, lastError: "HTTP 400" }]);
  redelivery.received();
  await clock.advance(1_000);
  expect(ids()).toHaveLength(mostRedrives + 2);
  first = delivered;
  letters.release(["ops"], [1]);
  redelivery.byHand();
  await clock.advance(0);
  expect(ids().at(-1)).toBe(1);
  expect(letters.held().count).toBe(0);
});

test("one that comes while nothing else is announced is tried after a longest wait; one that comes in a walk, with it", async () => {
  const { clock, add, sent, redelivery } = redelivering(1, (id) => {
    if (id === 1) add(2);
    return delivered;
  });
  redelivery.kept();
  await clock.advance(299_000);
  expect(sent).toEqual([]);
  await clock.advance(2_000);
  expect(sent).toEqual([
    { id: 1, atMs: 300_000 },
    { id: 2, atMs: 300_200 },
  ]);
});

test("one that was acknowledged while the database took nothing is not sent again, and is deleted later", async () => {
  const { clock, letters, ids, redelivery } = redelivering(1, () => delivered);
  letters.remove = () => ({ changed: 0, problem: { code: "STORAGE_DISK_FULL", message: "full" } });
  redelivery.begin();
  await clock.advance(0);
  expect([ids(), letters.held().count]).toEqual([[1], 1]);
  Reflect.deleteProperty(letters, "remove");
  await clock.advance(300_000);
  expect([ids(), letters.held().count]).toEqual([[1], 0]);
});

test("the end waits for what is being sent, and sends no more", async () => {
  const answered = Promise.withResolvers<Verdict>();
  const { clock, letters, ids, redelivery } = redelivering(2, () => answered.promise);
  redelivery.begin();
  await clock.advance(0);
  let ended = false;
  const end = redelivery.stop().then(() => {
    ended = true;
  });
  await clock.advance(1_000);
  expect(ended).toBe(false);
  answered.resolve(delivered);
  await end;
  redelivery.received();
  await clock.advance(1_000);
  expect([ids(), letters.list(10).map(({ id }) => id)]).toEqual([[1], [2]]);
});
