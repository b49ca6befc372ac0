/** Whatever plugins do: no letter is lost, none is sent again once it was answered, and each platform has one at a time. */

import { afterEach, expect, test } from "bun:test";
import fc from "fast-check";
import type { DispatchAnswer, DispatchFailureKind } from "../../src/routing/dispatcher.ts";
import { undoAll } from "../storage/scratch.ts";
import { redriving } from "./redriving.ts";

afterEach(undoAll);

const failures: DispatchFailureKind[] = [
  "plugin-error",
  "timeout",
  "crash",
  "overload",
  "shed",
  "bad-answer",
];
const answerKind = fc.oneof(
  { weight: 3, arbitrary: fc.constant("ok" as const) },
  { weight: 2, arbitrary: fc.constantFrom(...failures) },
);
/** What happens between two stretches of time. */
const happening = fc.record({
  parks: fc.integer({ min: 0, max: 3 }),
  platform: fc.constantFrom("voice", "discord"),
  state: fc.constantFrom("ready", "ready", "shed", "stopped"),
  breakerOpen: fc.boolean(),
  answers: fc.array(answerKind, { maxLength: 4 }),
  byHand: fc.option(fc.nat({ max: 12 }), { nil: null }),
  passMs: fc.integer({ min: 1, max: 8_000 }),
});
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

const answerOf = (kind: "ok" | DispatchFailureKind): DispatchAnswer =>
  kind === "ok" ? { ok: true, result: "fine" } : { ok: false, kind, message: `${kind}, as scripted` };

async function run(happenings: readonly Happening[]): Promise<void> {
  const subject = redriving();
  const { clock, dispatcher, breakers, redriver, park, get, queries } = subject;
  const script: ("ok" | DispatchFailureKind)[] = [];
  const answered: unknown[] = [];
  const wrong: string[] = [];
  const underWay = new Map<string, number>();
  dispatcher.dispatch = async (plugin, request) => {
    // Collected: the router takes a dispatcher that throws for a plugin that cannot be reached.
    if (answered.includes(request.payload)) wrong.push(`${request.payload} was answered before`);
    if (underWay.get(plugin)) wrong.push(`two at once for ${plugin}`);
    underWay.set(plugin, 1);
    const answer = answerOf(script.shift() ?? "ok");
    await new Promise<void>((resolve) => void clock.after(5, resolve));
    underWay.set(plugin, 0);
    if (answer.ok) answered.push(request.payload);
    return answer;
  };
  const ids: number[] = [];
  const orders: Promise<unknown>[] = [];
  redriver.start();
  for (const { parks, platform, state, breakerOpen, answers, byHand, passMs } of happenings) {
    dispatcher.set(platform, { state });
    if (breakerOpen) breakers.open.set(platform, { reason: "scripted", retryAfterMs: 2_000 });
    else breakers.open.delete(platform);
    script.push(...answers);
    for (let n = 0; n < parks; n++) ids.push(park({ platform, payload: ids.length }));
    redriver.wake(platform);
    const id = byHand === null ? undefined : ids[byHand];
    if (id !== undefined) orders.push(redriver.redrive(id));
    await clock.advance(passMs);
  }
  // In the end all is well, for long enough.
  script.length = 0;
  breakers.open.clear();
  for (const platform of ["voice", "discord"]) dispatcher.set(platform, { state: "ready" });
  await clock.advance(120_000);
  await Promise.all(orders);
  expect(wrong).toEqual([]);
  for (const [index, id] of ids.entries()) {
    const { state, redrives } = get(id);
    expect(["answered", "poison"]).toContain(state);
    expect(answered.filter((payload) => payload === index)).toHaveLength(state === "answered" ? 1 : 0);
    expect(redrives).toBeLessThanOrEqual(3);
  }
  const { answered: done, poison } = queries.counts();
  expect(done + poison).toBe(ids.length);
  await redriver.stop();
  subject.storage.close();
}

test("letters end as answered or poison, each answered once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 1, maxLength: 12 }), (happenings) => run(happenings)),
    { numRuns: 60 },
  );
}, 60_000);
