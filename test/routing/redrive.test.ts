import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { DispatchFailureKind } from "../../src/routing/dispatcher.ts";
import { scratchFolder, undoAll } from "../storage/scratch.ts";
import { redriving } from "./redriving.ts";
import type { Behaviour } from "./scripted-dispatcher.ts";

afterEach(undoAll);

const failing = (kind: DispatchFailureKind): Behaviour => ({
  afterMs: 1,
  answer: { ok: false, kind, message: "it failed" },
});

describe("when the plugin is back", () => {
  test("its letters are sent in order, one at a time, no faster than the rate", async () => {
    const { clock, dispatcher, redriver, park, states, handed } = redriving();
    dispatcher.set("voice", { state: "shed", reason: "memory is short" });
    const ids = [1, 2, 3, 4, 5].map((n) => park({ payload: n }));
    redriver.start();
    await clock.advance(20_000);
    expect(handed()).toEqual([]);
    expect(new Set(states(...ids))).toEqual(new Set(["waiting"]));

    let underWay = 0;
    let most = 0;
    const times: number[] = [];
    const dispatch = dispatcher.dispatch.bind(dispatcher);
    dispatcher.dispatch = async (...args) => {
      times.push(clock.nowMs());
      most = Math.max(most, ++underWay);
      return dispatch(...args).finally(() => underWay--);
    };
    dispatcher.set("voice", { state: "ready" });
    redriver.wake("voice");
    await clock.advance(10_000);
    expect(handed()).toEqual([1, 2, 3, 4, 5]);
    expect(most).toBe(1);
    for (let n = 1; n < times.length; n++)
      expect((times[n] ?? 0) - (times[n - 1] ?? 0)).toBeGreaterThanOrEqual(100);
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeLessThan(1_000);
    expect(new Set(states(...ids))).toEqual(new Set(["answered"]));
    await redriver.stop();
  });

  test("it is seen within 5 s though nobody says so, and platforms do not wait for each other", async () => {
    const { clock, dispatcher, redriver, park, states } = redriving();
    dispatcher.set("voice", { state: "shed" });
    const voice = park();
    const discord = park({ platform: "discord" });
    redriver.start();
    await clock.advance(100);
    expect(states(voice, discord)).toEqual(["waiting", "answered"]);
    dispatcher.set("voice", { state: "ready" });
    await clock.advance(5_100);
    expect(states(voice)).toEqual(["answered"]);
    await redriver.stop();
  });

  test("the plugin gets the request as it was, with its key, and no other one stands in", async () => {
    const { clock, dispatcher, redriver, park, get } = redriving();
    const id = park({ requestId: "r-1", type: "say", payload: { a: [1] }, idempotencyKey: "k" });
    dispatcher.behaviour.set("voice", failing("crash"));
    redriver.start();
    await clock.advance(500);
    expect(dispatcher.calls.map(({ plugin, request }) => [plugin, request])).toEqual([
      ["voice", { id: "r-1", platform: "voice", type: "say", payload: { a: [1] }, idempotencyKey: "k" }],
    ]);
    expect(get(id)).toMatchObject({ state: "waiting", redrives: 1, stateReason: "it failed" });
    expect(get(id).attempts.at(-1)).toMatchObject({ plugin: "voice", outcome: "crash", error: "it failed" });
    await redriver.stop();
  });

  test("a letter is sent neither before it is due nor after its time", async () => {
    const { clock, redriver, park, states, handed, events } = redriving();
    const now = clock.nowMs();
    const late = park({ payload: "late", nextAtMs: now + 8_000 });
    const dead = park({ payload: "dead", expiresAtMs: now + 7_000 });
    redriver.start();
    await clock.advance(7_900);
    expect(handed()).toEqual([]);
    await clock.advance(5_000);
    expect(handed()).toEqual(["late"]);
    expect(states(late, dead)).toEqual(["answered", "expired"]);
    expect(events).toContainEqual({
      name: "deadletter.expired",
      data: { platform: "voice", deadLetters: 1 },
    });
    await redriver.stop();
  });
});

describe("a redrive that fails", () => {
  test("is tried again after 1 s, then 2 s, holds back what is behind it, and is poison after the third", async () => {
    const { clock, dispatcher, redriver, park, get, states, handed, outcomes } = redriving();
    const bad = park({ payload: "bad" });
    const good = park({ payload: "good" });
    const answers = failing("plugin-error");
    dispatcher.behaviour.set("voice", answers);
    redriver.start();
    await clock.advance(900);
    expect(handed()).toEqual(["bad"]);
    await clock.advance(200);
    expect(handed()).toEqual(["bad", "bad"]);
    await clock.advance(1_800);
    expect(handed()).toEqual(["bad", "bad"]);
    dispatcher.behaviour.set("voice", {
      afterMs: 1,
      answer: () =>
        handed().at(-1) === "bad"
          ? { ok: false, kind: "plugin-error", message: "it failed" }
          : { ok: true, result: "fine" },
    });
    await clock.advance(500);
    expect(states(bad, good)).toEqual(["poison", "answered"]);
    expect(get(bad).stateReason).toBe("3 redrives failed, the last one so: it failed");
    expect(get(bad).attempts).toHaveLength(4);
    expect(outcomes()).toEqual(["failed", "failed", "poison", "answered"]);
    await clock.advance(100_000);
    expect(handed()).toEqual(["bad", "bad", "bad", "good"]);
    await redriver.stop();
  });

  test("because the plugin was too busy, or its breaker open, counts for nothing", async () => {
    const { clock, dispatcher, breakers, redriver, park, get, outcomes } = redriving();
    const id = park();
    dispatcher.behaviour.set("voice", failing("overload"));
    redriver.start();
    await clock.advance(10_000);
    expect(get(id)).toMatchObject({ state: "waiting", redrives: 0 });
    expect(outcomes().length).toBeLessThanOrEqual(11);
    breakers.open.set("voice", { reason: "3 failures", retryAfterMs: 30_000 });
    await clock.advance(5_000);
    const asked = outcomes().length;
    await clock.advance(20_000);
    expect(outcomes()).toHaveLength(asked);
    expect(new Set(outcomes())).toEqual(new Set(["unsent"]));
    breakers.open.clear();
    dispatcher.behaviour.delete("voice");
    await clock.advance(20_000);
    expect(get(id)).toMatchObject({ state: "answered", redrives: 1 });
    await redriver.stop();
  });
});

describe("by hand", () => {
  test("poison is sent at once and begins anew; what is answered or unknown is refused", async () => {
    const { clock, redriver, park, get, letters } = redriving();
    const id = park({ nextAtMs: clock.nowMs() + 900_000 });
    const asked = redriver.redrive(id);
    await clock.advance(200);
    expect(await asked).toMatchObject({ done: true, outcome: "answered" });
    expect(await redriver.redrive(id)).toMatchObject({ done: false, code: "not-open" });
    expect(await redriver.redrive(999)).toMatchObject({ done: false, code: "unknown" });
    const old = park({ expiresAtMs: clock.nowMs() });
    expect(await redriver.redrive(old)).toMatchObject({ done: false, code: "expired" });
    const poison = park();
    letters.claim(poison, clock.nowMs());
    const nextAtMs = clock.nowMs();
    letters.close(get(poison), {
      state: "poison",
      reason: "often",
      atMs: nextAtMs,
      counts: true,
      attempt: null,
      nextAtMs,
    });
    const again = redriver.redrive(poison);
    await clock.advance(200);
    expect(await again).toMatchObject({ done: true, outcome: "answered" });
    expect(get(poison)).toMatchObject({ state: "answered", redrives: 1 });
  });

  test("two at once for one letter send it once; a plugin that is not ready leaves it waiting", async () => {
    const { clock, dispatcher, redriver, park, handed, states } = redriving();
    const id = park();
    const both = Promise.all([redriver.redrive(id), redriver.redrive(id)]);
    await clock.advance(500);
    expect((await both).map(({ done }) => done)).toEqual([true, false]);
    expect(handed()).toHaveLength(1);
    dispatcher.set("voice", { state: "shed", reason: "memory is short" });
    const waiting = park();
    const refused = await redriver.redrive(waiting);
    expect(refused).toMatchObject({
      done: false,
      code: "not-ready",
      reason: "voice is shed: memory is short",
    });
    expect(states(waiting)).toEqual(["waiting"]);
  });

  test("no more than 16 wait for a platform", async () => {
    const { clock, dispatcher, redriver, park } = redriving();
    dispatcher.behaviour.set("voice", { afterMs: 100_000, answer: null });
    const asked = Array.from({ length: 20 }, () => redriver.redrive(park()));
    const refused = (await Promise.race([Promise.all(asked.slice(16)), clock.advance(1)])) ?? [];
    expect(refused.map((each) => each.done === false && each.code)).toEqual(["busy", "busy", "busy", "busy"]);
  });
});

describe("the record", () => {
  test("is claimed and marked as sent before the plugin has it, and closed after", async () => {
    const { clock, dispatcher, redriver, park, get } = redriving();
    const id = park();
    const seen: [string, boolean][] = [];
    dispatcher.behaviour.set("voice", {
      afterMs: 1,
      answer: () => {
        seen.push([get(id).state, get(id).sent]);
        return { ok: true, result: "fine" };
      },
    });
    redriver.start();
    await clock.advance(100);
    expect(seen).toEqual([["redriving", true]]);
    expect(get(id)).toMatchObject({ state: "answered", sent: false, result: "fine" });
    await redriver.stop();
  });

  test("that cannot be claimed is not sent, and one that cannot be closed blocks its platform until it can", async () => {
    const stubborn = redriving();
    const { letters: real } = stubborn;
    const refused = { changed: 0, problem: { code: "STORAGE_DISK_FULL", message: "the disk is full" } };
    let takes = false;
    const claim = real.claim.bind(real);
    real.claim = () => refused;
    const close = real.close.bind(real);
    real.close = (...args) => (takes ? close(...args) : refused);
    const first = stubborn.park({ payload: 1 });
    const second = stubborn.park({ payload: 2 });
    stubborn.redriver.start();
    await stubborn.clock.advance(10_000);
    expect(stubborn.handed()).toEqual([]);
    real.claim = claim;
    await stubborn.clock.advance(10_000);
    expect(stubborn.handed()).toEqual([1]);
    takes = true;
    await stubborn.clock.advance(2_000);
    expect(stubborn.states(first, second)).toEqual(["answered", "answered"]);
    await stubborn.redriver.stop();
  });

  test("of a redrive under way at the end: given up, held for a person unless it does no harm twice", async () => {
    const path = join(scratchFolder(), "conductor.db");
    const { clock, dispatcher, redriver, park, get, storage } = redriving({}, path);
    dispatcher.behaviour.set("voice", { afterMs: 1e6, answer: null });
    dispatcher.behaviour.set("discord", { afterMs: 1e6, answer: null });
    const voice = park();
    const discord = park({ platform: "discord", idempotent: true });
    redriver.start();
    await clock.advance(100);
    const stopped = redriver.stop();
    await clock.advance(600);
    await stopped;
    expect(get(voice)).toMatchObject({ state: "waiting", held: true });
    expect(get(discord)).toMatchObject({ state: "waiting", held: false, redrives: 1 });
    storage.close();
    await clock.advance(60_000);
    expect(dispatcher.calls).toHaveLength(2);
  });
});
