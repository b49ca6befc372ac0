/** Bulkheads in front of plugins: who is let in, who waits, who is refused, and what that does to the others. */

import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { Bulkheads, type BulkheadsOptions, type PluginBounds } from "../../src/routing/bulkheads.ts";
import type { DispatchAnswer } from "../../src/routing/dispatcher.ts";
import { routing } from "./routed.ts";
import { ScriptedDispatcher } from "./scripted-dispatcher.ts";

const request = { id: "r", platform: "voice", type: "message", payload: null };

function subject(bounds: Partial<PluginBounds> = {}, over: Partial<BulkheadsOptions> = {}) {
  const clock = new VirtualClock(1_000_000);
  const inner = new ScriptedDispatcher(clock, ["voice", "discord"]);
  const known = new Map<string, PluginBounds>();
  for (const platform of ["voice", "discord"])
    known.set(platform, { platform, most: 2, queue: 1, ...bounds });
  const boundsOf = (plugin: string) => known.get(plugin) ?? null;
  const bulkheads = new Bulkheads(inner, { clock, kind: "fixed", limit: null, boundsOf, ...over });
  /** Every answer so far, by the order of asking. */
  const answers: (DispatchAnswer | undefined)[] = [];
  const ask = (plugin = "voice", timeoutMs = 1_000, signal = new AbortController().signal) => {
    const index = answers.push(undefined) - 1;
    void bulkheads.dispatch(plugin, request, { timeoutMs, signal }).then((answer) => {
      answers[index] = answer;
    });
  };
  inner.behaviour.set("voice", { afterMs: 100, answer: { ok: true, result: "said" } });
  return { clock, inner, known, bulkheads, ask, answers };
}

describe("places", () => {
  test("as many as the limit are under way, the queue waits in its order, one more is refused at once", async () => {
    const { clock, inner, bulkheads, ask, answers } = subject();
    for (let i = 0; i < 4; i++) ask();
    await clock.advance(0);
    expect(inner.calls).toHaveLength(2);
    expect(bulkheads.views()).toEqual([{ platform: "voice", limit: 2, inFlight: 2, queued: 1 }]);
    expect(answers).toMatchObject([undefined, undefined, undefined, { ok: false, kind: "overload" }]);
    await clock.advance(100);
    expect(inner.calls[2]?.timeoutMs).toBe(900);
    await clock.advance(100);
    expect(answers.slice(0, 3)).toEqual([1, 2, 3].map(() => ({ ok: true, result: "said" })));
    expect(bulkheads.views()).toEqual([{ platform: "voice", limit: 2, inFlight: 0, queued: 0 }]);
  });

  test("one that waited half its time is refused, while there is time for a fallback", async () => {
    const { clock, inner, ask, answers } = subject();
    inner.behaviour.set("voice", { afterMs: 0, answer: null });
    for (let i = 0; i < 3; i++) ask();
    await clock.advance(499);
    expect(answers[2]).toBeUndefined();
    await clock.advance(1);
    expect(answers[2]).toEqual({
      ok: false,
      kind: "overload",
      message: "waited 500 ms behind 2 other requests",
    });
  });

  test("a caller who leaves gives up its place in the queue", async () => {
    const { clock, bulkheads, ask, answers } = subject();
    const client = new AbortController();
    ask();
    ask();
    ask("voice", 1_000, client.signal);
    await clock.advance(1);
    client.abort();
    await clock.advance(1);
    expect(answers[2]).toMatchObject({ kind: "cancelled" });
    expect(bulkheads.views()[0]?.queued).toBe(0);
  });

  test("a plugin that hangs takes no place of another", async () => {
    const { clock, inner, ask, answers } = subject();
    inner.behaviour.set("voice", { afterMs: 0, answer: null });
    for (let i = 0; i < 20; i++) ask("voice");
    ask("discord");
    await clock.advance(5);
    expect(answers.at(-1)).toEqual({ ok: true, result: "fine" });
  });

  test("a stream holds its place until it is done; a dispatcher that throws gives its place back", async () => {
    const { clock, inner, bulkheads, ask } = subject();
    const done = Promise.withResolvers<null>();
    const stream = {
      done: done.promise,
      cancel: () => undefined,
      async *[Symbol.asyncIterator]() {
        yield 1;
      },
    };
    inner.behaviour.set("voice", { afterMs: 1, answer: { ok: true, result: null, stream } });
    ask();
    await clock.advance(50);
    expect(bulkheads.views()[0]?.inFlight).toBe(1);
    done.resolve(null);
    await clock.advance(1);
    expect(bulkheads.views()[0]?.inFlight).toBe(0);
    inner.behaviour.set("voice", { afterMs: 1, answer: "throws" });
    const { signal } = new AbortController();
    await expect(bulkheads.dispatch("voice", request, { timeoutMs: 5, signal })).rejects.toThrow("no socket");
    expect(bulkheads.views()[0]?.inFlight).toBe(0);
  });

  test("more processes let more in at once, and a plugin that is gone is shown no longer", async () => {
    const { clock, inner, known, bulkheads, ask } = subject();
    for (let i = 0; i < 3; i++) ask();
    known.set("voice", { platform: "voice", most: 4, queue: 1 });
    ask();
    await clock.advance(1);
    expect(inner.calls).toHaveLength(4);
    known.delete("voice");
    expect(bulkheads.views()).toEqual([]);
  });
});

test("a configured limit holds for both kinds, and never lets in more than the plugin takes", async () => {
  for (const kind of ["fixed", "adaptive"] as const) {
    const limits: (number | undefined)[] = [];
    for (const limit of [3, 100]) {
      const { clock, bulkheads, ask } = subject({ most: 8 }, { kind, limit });
      ask();
      await clock.advance(1);
      limits.push(bulkheads.views()[0]?.limit);
    }
    expect([kind, ...limits]).toEqual([kind, 3, 8]);
  }
});

test("what an adaptive limit withholds may wait: it refuses none whom the plugin itself would take", async () => {
  const { clock, inner, bulkheads, ask, answers } = subject({ most: 40, queue: 0 }, { kind: "adaptive" });
  for (let i = 0; i < 41; i++) ask();
  await clock.advance(0);
  expect(inner.calls).toHaveLength(16);
  expect(bulkheads.views()).toEqual([{ platform: "voice", limit: 16, inFlight: 16, queued: 24 }]);
  expect(answers.filter(Boolean)).toMatchObject([{ kind: "overload" }]);
});

test("what is full is told as 429, blocked by concurrency, and says nothing about the breaker", async () => {
  const made = routing({ fallbacks: () => [] });
  made.dispatcher.behaviour.set("voice", { afterMs: 100, answer: { ok: true, result: 1 } });
  const dispatcher = new Bulkheads(made.dispatcher, {
    clock: made.clock,
    kind: "fixed",
    limit: null,
    boundsOf: (platform) => ({ platform, most: 1, queue: 0 }),
  });
  const { router } = routing({ ...made, dispatcher, fallbacks: () => [] });
  const ask = () => router.route({ platform: "voice", payload: 1 });
  const both = Promise.all([ask(), ask()]);
  await made.clock.advance(100);
  const [first, second] = await both;
  expect(first).toMatchObject({ kind: "answered" });
  expect(second).toMatchObject({ status: 429, blockedBy: "concurrency", retryAfterSeconds: 1 });
  expect(made.breakers.reports).toEqual(["voice release", "voice success"]);
});
