/** Requests that are sent again: which, when, how often, and what the client and the counters are told. */

import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import type { DispatchAnswer, DispatchFailureKind } from "../../src/routing/dispatcher.ts";
import { Retrying } from "../../src/routing/retrying.ts";
import { routing } from "./routed.ts";
import { ScriptedDispatcher } from "./scripted-dispatcher.ts";

const fine: DispatchAnswer = { ok: true, result: "fine" };
const failing = (kind: DispatchFailureKind): DispatchAnswer => ({
  ok: false,
  kind,
  message: `it was ${kind}`,
});

/** A router whose waits are each 50 ms; `voice` fails by `script`, and then answers. */
function retried(script: DispatchAnswer[], { most = 3, afterMs = 10, random = () => 0 } = {}) {
  const clock = new VirtualClock(1_000_000);
  const counted: string[] = [];
  const retrying = new Retrying({
    clock,
    budgetRatio: 0.1,
    most,
    random,
    counted: (platform, outcome) => counted.push(`${platform} ${outcome}`),
  });
  const dispatcher = new ScriptedDispatcher(clock, ["voice", "stubs"]);
  const left = [...script];
  dispatcher.behaviour.set("voice", { afterMs, answer: () => left.shift() ?? fine });
  const made = routing({ clock, dispatcher, retrying });
  const ask = async (request: Partial<Parameters<typeof made.ask>[0]> = {}) => {
    const asked = made.router.route({ platform: "voice", payload: 1, idempotencyKey: "k", ...request });
    let settled = false;
    void asked.then(() => {
      settled = true;
    });
    for (let turn = 0; turn < 20_000 && !settled; turn++) await clock.advance(1);
    return asked;
  };
  const tries = () => dispatcher.calls.filter(({ plugin }) => plugin === "voice").length;
  return { ...made, clock, dispatcher, counted, ask, tries };
}

describe("sent again", () => {
  test.each(["crash", "timeout", "unavailable"] as const)("after %s, until it is answered", async (kind) => {
    const { ask, counted } = retried([failing(kind), failing(kind)]);
    expect(await ask()).toMatchObject({
      kind: "answered",
      degraded: false,
      durationMs: 10 + 50 + 10 + 50 + 10,
      attempts: [{ outcome: kind }, { outcome: kind }, { plugin: "voice", outcome: "answered" }],
    });
    expect(counted).toEqual(["voice answered"]);
  });

  test("where the request says that it may be, without a key too", async () => {
    const { clock, router, tries } = retried([failing("crash")]);
    const asked = router.route({ platform: "voice", payload: 1, idempotent: true });
    await clock.advance(100);
    expect([(await asked).kind, tries()]).toEqual(["answered", 2]);
  });

  test("when the plugin is back, and the tries in between are no load", async () => {
    const { dispatcher, clock, ask, counted, tries } = retried([failing("crash")]);
    dispatcher.behaviour.set("voice", {
      afterMs: 10,
      answer: () => {
        dispatcher.set("voice", { state: "failed", reason: "restart in 80 ms" });
        clock.after(80, () => {
          dispatcher.set("voice", { state: "ready", reason: "it runs" });
          dispatcher.behaviour.set("voice", { afterMs: 10, answer: fine });
        });
        return failing("crash");
      },
    });
    expect(await ask()).toMatchObject({
      kind: "answered",
      degraded: false,
      attempts: [{ outcome: "crash" }, { outcome: "failed" }, { outcome: "answered" }],
    });
    expect([tries(), counted]).toEqual([2, ["voice answered"]]);
  });

  test("at most so often; then the fallback is asked", async () => {
    const { ask, counted, tries } = retried(Array.from({ length: 9 }, () => failing("crash")));
    expect(await ask()).toMatchObject({ kind: "answered", degraded: true, reason: "it was crash" });
    expect([tries(), counted]).toEqual([4, ["voice failed"]]);
  });
});

describe("not sent again", () => {
  test("without a key", async () => {
    const { clock, router, tries, counted } = retried([failing("crash")]);
    const asked = router.route({ platform: "voice", payload: 1 });
    await clock.advance(100);
    expect(await asked).toMatchObject({ degraded: true });
    expect([tries(), counted]).toEqual([1, []]);
  });

  test.each(["plugin-error", "bad-answer", "overload", "too-large", "shed", "stopped"] as const)(
    "after %s",
    async (kind) => {
      const { ask, tries, counted } = retried([failing(kind)]);
      await ask();
      expect([tries(), counted]).toEqual([1, []]);
    },
  );

  test("where it is switched off", async () => {
    const { ask, tries } = retried([failing("crash")], { most: 0 });
    await ask();
    expect(tries()).toBe(1);
  });

  test("past the deadline: a wait that would not leave time is not begun", async () => {
    const { ask, tries, counted } = retried([failing("crash")], { afterMs: 60 });
    // A tenth of the 110 ms is kept back for the fallback: 99 are left for the platform, 39 after the first try.
    const outcome = await ask({ deadlineMs: 110 });
    expect(outcome).toMatchObject({ degraded: true, durationMs: 61 });
    expect([tries(), counted]).toEqual([1, ["voice no_time"]]);
  });

  test("after the plugin used up its own time, unless the client gives more", async () => {
    for (const [deadlineMs, expected] of [
      [undefined, 1],
      [12_000, 2],
    ] as const) {
      const { dispatcher, ask, tries } = retried([]);
      let calls = 0;
      dispatcher.behaviour.set("voice", { afterMs: 5_001, answer: null });
      const dispatch = dispatcher.dispatch.bind(dispatcher);
      dispatcher.dispatch = (...args) => {
        if (args[0] === "voice" && ++calls > 1)
          dispatcher.behaviour.set("voice", { afterMs: 10, answer: fine });
        return dispatch(...args);
      };
      await ask(deadlineMs === undefined ? {} : { deadlineMs });
      expect([deadlineMs, tries()]).toEqual([deadlineMs, expected]);
    }
  });

  test("for a client that left while it was waited", async () => {
    const { clock, router, tries, counted } = retried([failing("crash")]);
    const client = new AbortController();
    const asked = router.route({ platform: "voice", payload: 1, idempotencyKey: "k", signal: client.signal });
    await clock.advance(30);
    client.abort();
    await clock.advance(200);
    expect(await asked).toMatchObject({ status: 499 });
    expect([tries(), counted]).toEqual([1, []]);
  });
});

test("when everything fails, the extra load is a tenth", async () => {
  const { clock, dispatcher, router, counted } = retried([], { most: 3 });
  dispatcher.behaviour.set("voice", { afterMs: 1, answer: failing("crash") });
  const asked: Promise<unknown>[] = [];
  for (let i = 0; i < 300; i++) {
    asked.push(router.route({ platform: "voice", payload: i, idempotencyKey: `k${i}` }));
    await clock.advance(10);
  }
  await clock.advance(1_000);
  await Promise.all(asked);
  const tries = dispatcher.calls.filter(({ plugin }) => plugin === "voice").length;
  expect(tries).toBeGreaterThan(300);
  expect(tries).toBeLessThanOrEqual(330);
  expect(counted.filter((each) => each === "voice no_budget").length).toBeGreaterThan(250);
});
