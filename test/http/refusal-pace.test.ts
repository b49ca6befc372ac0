import { expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { mostWaiting, mostWaitMs, RefusalPace } from "../../src/http/refusal-pace.ts";
import { served } from "./served.ts";

const take = (pace: RefusalPace, count: number) => Array.from({ length: count }, () => pace.take());

test("a hundred refusals are told at once, the next ones 2 ms apart", () => {
  const pace = new RefusalPace(new VirtualClock(0));
  const waits = take(pace, 103);
  expect(waits.slice(0, 100)).toEqual(Array.from({ length: 100 }, () => 0));
  expect(waits.slice(100)).toEqual([2, 4, 6]);
});

test("500 a second never wait, however long they go on", async () => {
  const clock = new VirtualClock(0);
  const pace = new RefusalPace(clock);
  for (let n = 0; n < 2_000; n++) {
    expect(pace.take()).toBe(0);
    await clock.advance(2);
  }
});

test("after a pause a hundred are told at once again, not more", async () => {
  const clock = new VirtualClock(0);
  const pace = new RefusalPace(clock);
  take(pace, 100);
  await clock.advance(60_000);
  expect(take(pace, 101).at(-1)).toBe(2);
});

test("none waits for longer than two seconds, and none of those is told at once", async () => {
  const clock = new VirtualClock(0);
  const pace = new RefusalPace(clock);
  const waits = take(pace, 1_105);
  expect(waits.filter((wait) => wait > 0)).toHaveLength(1_005);
  expect(waits.slice(-6)).toEqual(Array.from({ length: 6 }, () => mostWaitMs));
  await clock.advance(2);
  expect(pace.take()).toBe(mostWaitMs);
});

test("so many may wait; one more is told at once, until one of them was told", () => {
  const pace = new RefusalPace(new VirtualClock(0));
  take(pace, 100 + mostWaiting);
  expect(pace.take()).toBe(0);
  pace.told();
  expect(pace.take()).toBe(mostWaitMs);
  expect(pace.take()).toBe(0);
});

test("over HTTP the refusal after the burst waits, an answer does not, and both say when to come again", async () => {
  const subject = await served();
  try {
    for (const name of ["voice", "stubs"])
      subject.dispatcher.set(name, { state: "shed", reason: "no memory" });
    const ask = (platform: string) => subject.post("/api/v1/requests", { platform, payload: 1 });
    for (let n = 0; n < 100; n++) expect((await ask("voice")).status).toBe(503);
    let told = false;
    const late = ask("voice").finally(() => {
      told = true;
    });
    // Time stands still: the refusal waits, and what is no refusal is answered all the same.
    for (let n = 0; n < 20; n++) expect((await subject.get("/healthz")).status).toBe(200);
    expect(told).toBe(false);
    const refused = await subject.turning(late);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("30");
  } finally {
    await subject.end();
  }
});
