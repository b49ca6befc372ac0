import { describe, expect, spyOn, test } from "bun:test";
import { type Timer, VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { routing } from "./routed.ts";
import { ScriptedDispatcher } from "./scripted-dispatcher.ts";

describe("time", () => {
  const rows = [
    { own: undefined, deadlineMs: undefined, given: 5_000, total: 5_001, counts: true },
    { own: 800, deadlineMs: undefined, given: 800, total: 801, counts: true },
    { own: 800, deadlineMs: 60_000, given: 800, total: 801, counts: true },
    { own: 8_000, deadlineMs: 8_000, given: 7_500, total: 7_501, counts: true },
    { own: undefined, deadlineMs: 1_000, given: 900, total: 901, counts: false },
    { own: undefined, deadlineMs: 20, given: 18, total: 19, counts: false },
  ];
  test.each(rows)(
    "limit $own, deadline $deadlineMs: the plugin has $given ms, then the fallback",
    async (row) => {
      const { dispatcher, breakers, ask } = routing();
      dispatcher.set("voice", row.own === undefined ? {} : { requestTimeoutMs: row.own });
      dispatcher.behaviour.set("voice", { afterMs: 0, answer: null });
      const outcome = await ask(row.deadlineMs === undefined ? {} : { deadlineMs: row.deadlineMs });
      expect(outcome).toMatchObject({ kind: "answered", plugin: "stubs", durationMs: row.total });
      expect(dispatcher.calls[0]?.timeoutMs).toBe(row.given);
      expect(dispatcher.calls[0]?.signal.aborted).toBe(true);
      expect(breakers.reports[0]).toBe(row.counts ? "voice failure timeout" : "voice release");
    },
  );

  test("a client's deadline covers the fallback too", async () => {
    const { dispatcher, ask } = routing();
    dispatcher.behaviour.set("voice", { afterMs: 0, answer: null });
    dispatcher.behaviour.set("stubs", { afterMs: 0, answer: null });
    expect(await ask({ deadlineMs: 2_000 })).toMatchObject({ status: 504, durationMs: 2_000 });
  });

  test("without a fallback that is ready nothing is kept back", async () => {
    const { dispatcher, ask } = routing();
    dispatcher.set("stubs", { state: "stopped", reason: "x" });
    dispatcher.behaviour.set("voice", { afterMs: 0, answer: null });
    expect(await ask({ deadlineMs: 2_000 })).toMatchObject({ status: 504, code: "plugin-timeout" });
    expect(dispatcher.calls[0]?.timeoutMs).toBe(2_000);
  });

  test.each([0, -5])("a deadline of %d ms is over before anything is sent", async (deadlineMs) => {
    const { dispatcher, ask } = routing();
    expect(await ask({ deadlineMs })).toMatchObject({ status: 504 });
    expect(dispatcher.calls).toHaveLength(0);
  });

  test("an answer that comes after the timeout is dropped", async () => {
    const { clock, dispatcher, observed, ask } = routing({ fallbacks: () => [] });
    dispatcher.behaviour.set("voice", { afterMs: 6_000, answer: { ok: true, result: "late" } });
    expect(await ask({})).toMatchObject({ kind: "refused", status: 504, durationMs: 5_000 });
    await clock.advance(5_000);
    expect(observed).toHaveLength(1);
  });
});

describe("a client that goes away", () => {
  test("aborts the dispatch at once; no fallback, no word to the breaker", async () => {
    const { clock, dispatcher, breakers, router } = routing();
    dispatcher.behaviour.set("voice", { afterMs: 0, answer: null });
    const client = new AbortController();
    const asked = router.route({ platform: "voice", payload: null, signal: client.signal });
    await clock.advance(100);
    expect([router.inFlight, dispatcher.calls[0]?.signal.aborted]).toEqual([1, false]);
    client.abort();
    expect(await asked).toMatchObject({ kind: "refused", status: 499, code: "client-gone", durationMs: 100 });
    expect(dispatcher.calls.map(({ plugin, signal }) => [plugin, signal.aborted])).toEqual([["voice", true]]);
    expect([breakers.reports, router.inFlight]).toEqual([["voice release"], 0]);
  });

  test("while the fallback works, or before anything began, is 499 too", async () => {
    const { clock, dispatcher, router } = routing({ fallbacks: () => ["stubs", "discord"] });
    dispatcher.set("voice", { state: "shed", reason: "memory" });
    dispatcher.behaviour.set("stubs", { afterMs: 0, answer: null });
    const client = new AbortController();
    const asked = router.route({ platform: "voice", payload: null, signal: client.signal });
    await clock.advance(10);
    client.abort();
    expect(await asked).toMatchObject({
      status: 499,
      attempts: [{ outcome: "shed" }, { outcome: "cancelled" }],
    });
    const gone = await router.route({ platform: "discord", payload: null, signal: AbortSignal.abort() });
    expect(gone).toMatchObject({ status: 499 });
    expect(dispatcher.calls.map(({ plugin }) => plugin)).toEqual(["stubs"]);
  });
});

class CountingClock extends VirtualClock {
  pending = 0;
  override after(delayMs: number, run: () => void): Timer {
    this.pending++;
    let over = false;
    const end = () => {
      if (!over) this.pending--;
      over = true;
    };
    const timer = super.after(delayMs, () => {
      end();
      run();
    });
    return {
      cancel: () => {
        end();
        timer.cancel();
      },
    };
  }
}

test.each([
  { answer: { ok: true, result: 1 } as const, how: "an answer" },
  { answer: null, how: "a timeout" },
])("$how leaves no timer and no listener on the client's signal", async ({ answer }) => {
  const clock = new CountingClock();
  const dispatcher = new ScriptedDispatcher(clock, ["voice"]);
  dispatcher.behaviour.set("voice", { afterMs: 1, answer });
  const { router } = routing({ clock, dispatcher, fallbacks: () => [] });
  const { signal } = new AbortController();
  const added = spyOn(signal, "addEventListener");
  const removed = spyOn(signal, "removeEventListener");
  const asked = router.route({ platform: "voice", payload: null, signal });
  await clock.advance(answer ? 1 : 5_000);
  await asked;
  expect(clock.pending).toBe(0);
  expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
    added.mock.calls.map(([, listener]) => listener),
  );
  expect(added).toHaveBeenCalledTimes(1);
});

describe("the router's own limits", () => {
  test("more requests at once than allowed are 503, and taken again when some are done", async () => {
    const { clock, dispatcher, router } = routing({ maxInFlight: 2 });
    dispatcher.behaviour.set("voice", { afterMs: 50, answer: { ok: true, result: 1 } });
    const asked = [1, 2, 3].map(() => router.route({ platform: "voice", payload: null }));
    expect(await asked[2]).toMatchObject({
      status: 503,
      code: "router-busy",
      blockedBy: "router",
      retryAfterSeconds: 1,
    });
    await clock.advance(50);
    expect((await Promise.all(asked.slice(0, 2))).map(({ kind }) => kind)).toEqual(["answered", "answered"]);
    const again = router.route({ platform: "voice", payload: null });
    await clock.advance(50);
    expect((await again).kind).toBe("answered");
  });

  test("closed, it refuses the new and finishes the old", async () => {
    const { clock, router } = routing();
    const old = router.route({ platform: "voice", payload: null });
    router.close();
    expect(await router.route({ platform: "voice", payload: null })).toMatchObject({
      status: 503,
      code: "shutting-down",
    });
    await clock.advance(1);
    expect((await old).kind).toBe("answered");
  });

  test("a throwing observer is logged and costs no outcome", async () => {
    const logged: string[] = [];
    const { ask } = routing({
      log: { ...silentLog, error: (event) => logged.push(event) },
      observers: [
        {
          routed() {
            throw new Error("observer");
          },
        },
      ],
    });
    expect((await ask({})).kind).toBe("answered");
    expect(logged).toEqual(["routing.observer_failed"]);
  });
});
