import { describe, expect, test } from "bun:test";
import type { DispatchFailureKind } from "../../src/routing/dispatcher.ts";
import type { Answered, RouteRequest } from "../../src/routing/outcome.ts";
import { RouteStatistics } from "../../src/routing/statistics.ts";
import { mostCollectedBytes } from "../../src/routing/streamed.ts";
import { routing } from "./routed.ts";
import { ScriptedStream } from "./scripted-stream.ts";

/** A router whose platform voice answers with `stream` after 10 ms. */
function streaming() {
  const parts = routing();
  const stream = new ScriptedStream();
  parts.dispatcher.behaviour.set("voice", { afterMs: 10, answer: { ok: true, result: null, stream } });
  const open = async (request: Partial<RouteRequest> = {}) => {
    const outcome = await parts.ask({ streams: true, ...request });
    if (outcome.kind !== "answered" || !outcome.stream) throw new Error(`no stream: ${outcome.kind}`);
    return outcome as Answered & { stream: NonNullable<Answered["stream"]> };
  };
  return { ...parts, stream, open };
}

const failing = (kind: DispatchFailureKind) => ({ ok: false, kind, message: `it was ${kind}` }) as const;

describe("a stream", () => {
  test("is answered with at once, and counted once, when it ends, with its whole duration", async () => {
    const { clock, stream, open, breakers, observed, router } = streaming();
    const outcome = await open();
    expect(outcome).toMatchObject({ plugin: "voice", result: null, streamed: true, durationMs: 10 });
    expect([router.inFlight, observed.length, breakers.reports]).toEqual([1, 0, []]);
    stream.push(1, { two: 2 });
    await clock.advance(90);
    stream.push([3]).end();
    expect(await Array.fromAsync(outcome.stream)).toEqual([1, { two: 2 }, [3]]);
    const end = await outcome.stream.done;
    expect(end).toEqual({
      kind: "answered",
      requestId: "r1",
      platform: "voice",
      plugin: "voice",
      result: null,
      degraded: false,
      streamed: true,
      durationMs: 100,
      attempts: [{ plugin: "voice", outcome: "answered", durationMs: 100 }],
    });
    expect(observed).toEqual([end]);
    expect([router.inFlight, breakers.reports]).toEqual([0, ["voice success"]]);
  });

  test("may take longer than the plugin's request timeout, which was for its first chunk", async () => {
    const { clock, stream, open, dispatcher } = streaming();
    const outcome = await open();
    await clock.advance(60_000);
    stream.end();
    expect(await outcome.stream.done).toMatchObject({ kind: "answered", durationMs: 60_010 });
    expect(dispatcher.calls[0]?.signal.aborted).toBe(false);
  });

  const rows = [
    { kind: "crash", status: 503, report: "voice failure crash" },
    { kind: "timeout", status: 504, report: "voice failure timeout" },
    { kind: "plugin-error", status: 502, report: "voice failure plugin-error" },
    { kind: "bad-answer", status: 502, report: "voice failure bad-answer" },
    { kind: "shed", status: 503, report: "voice release" },
    { kind: "stopped", status: 503, report: "voice release" },
  ] as const;
  test.each(rows)("that ends with $kind is refused with $status, and never falls back", async (row) => {
    const { stream, open, breakers, observed, dispatcher, router } = streaming();
    const outcome = await open();
    stream.push("begun").end(failing(row.kind));
    expect(await Array.fromAsync(outcome.stream)).toEqual(["begun"]);
    expect(await outcome.stream.done).toMatchObject({
      kind: "refused",
      status: row.status,
      detail: `it was ${row.kind}`,
      streamed: true,
      attempts: [{ plugin: "voice", outcome: row.kind }],
    });
    expect([observed.length, router.inFlight, breakers.reports]).toEqual([1, 0, [row.report]]);
    expect(dispatcher.calls).toHaveLength(1);
  });

  test("that the client leaves is cancelled at once, and says nothing about the plugin", async () => {
    for (const how of ["signal", "cancel"] as const) {
      const { stream, open, breakers, observed, dispatcher, router } = streaming();
      const client = new AbortController();
      const outcome = await open({ signal: client.signal });
      if (how === "signal") client.abort();
      else outcome.stream.cancel();
      expect(await outcome.stream.done).toMatchObject({ status: 499, code: "client-gone" });
      expect(await Array.fromAsync(outcome.stream)).toEqual([]);
      expect([stream.cancelled, dispatcher.calls[0]?.signal.aborted]).toEqual([true, true]);
      expect([observed.length, router.inFlight, breakers.reports]).toEqual([1, 0, ["voice release"]]);
    }
  });

  test("is covered by the client's deadline, which is not the plugin's failure", async () => {
    const { clock, stream, open, breakers, observed } = streaming();
    // So long that the plugin had all the time it asks for: a timeout before the first chunk would count.
    const outcome = await open({ deadlineMs: 6_000 });
    await clock.advance(5_989);
    expect(observed).toHaveLength(0);
    await clock.advance(1);
    const end = { status: 504, code: "plugin-timeout", durationMs: 6_000 };
    expect(await outcome.stream.done).toMatchObject(end);
    expect([stream.cancelled, breakers.reports]).toEqual([true, ["voice release"]]);
    await clock.advance(10_000);
    expect(observed).toHaveLength(1);
  });

  test("of a fallback is degraded, in its outcome too", async () => {
    const { dispatcher, stream, open, breakers } = streaming();
    dispatcher.behaviour.set("voice", { afterMs: 1, answer: failing("crash") });
    dispatcher.behaviour.set("stubs", { afterMs: 1, answer: { ok: true, result: null, stream } });
    const outcome = await open();
    expect(outcome).toMatchObject({ plugin: "stubs", degraded: true, fallbackFor: "voice" });
    stream.end();
    expect(await outcome.stream.done).toMatchObject({
      kind: "answered",
      degraded: true,
      attempts: [{ outcome: "crash" }, { outcome: "answered" }],
    });
    expect(breakers.reports).toEqual(["voice failure crash", "stubs success"]);
  });

  test("that comes after the timeout is cancelled", async () => {
    const { clock, dispatcher, stream, ask } = streaming();
    dispatcher.behaviour.set("voice", { afterMs: 6_000, answer: { ok: true, result: null, stream } });
    expect(await ask({ streams: true })).toMatchObject({ degraded: true, plugin: "stubs" });
    await clock.advance(2_000);
    expect(stream.cancelled).toBe(true);
  });

  test("that failed on the way is an error in the statistics, with its whole duration", async () => {
    const statistics = new RouteStatistics();
    const { clock, dispatcher, ask } = routing({ observers: [statistics] });
    const stream = new ScriptedStream();
    dispatcher.behaviour.set("voice", { afterMs: 10, answer: { ok: true, result: null, stream } });
    const outcome = await ask({ streams: true });
    expect(statistics.drain()).toEqual([]);
    await clock.advance(40);
    stream.end(failing("crash"));
    await (outcome as Answered).stream?.done;
    expect(statistics.drain()).toEqual([
      { platform: "voice", requestCount: 1, errorCount: 1, averageResponseTimeMs: 50, maxResponseTimeMs: 50 },
    ]);
  });
});

describe("a stream for a client that wants none", () => {
  test("is collected into one answer", async () => {
    const { stream, ask, breakers, observed, router } = streaming();
    stream.push(1, [2], { three: 3 }).end();
    const outcome = await ask({});
    expect(outcome).toMatchObject({ kind: "answered", result: [1, [2], { three: 3 }], streamed: true });
    expect(outcome).not.toHaveProperty("stream");
    expect(observed).toEqual([outcome]);
    expect([router.inFlight, breakers.reports]).toEqual([0, ["voice success"]]);
  });

  test("of more than 1 MiB together is refused and cancelled; one that just fits is not", async () => {
    const piece = "x".repeat(2 ** 10 - 3);
    for (const [pieces, fits] of [
      [mostCollectedBytes / 2 ** 10 - 1, true],
      [mostCollectedBytes / 2 ** 10, false],
    ] as const) {
      const { stream, ask, observed, router } = streaming();
      stream.push(...Array.from({ length: pieces }, () => piece)).end();
      const outcome = await ask({});
      if (fits) expect(outcome.kind).toBe("answered");
      else expect(outcome).toMatchObject({ kind: "refused", status: 502, code: "answer-too-large" });
      expect([observed.length, router.inFlight, stream.cancelled]).toEqual([1, 0, !fits]);
    }
  });

  test("that fails or is left is refused, once", async () => {
    const failed = streaming();
    failed.stream.push(1).end(failing("crash"));
    expect(await failed.ask({})).toMatchObject({ kind: "refused", status: 503, code: "plugin-crashed" });
    const left = streaming();
    const client = new AbortController();
    left.clock.after(50, () => client.abort());
    expect(await left.ask({ signal: client.signal })).toMatchObject({ status: 499, durationMs: 50 });
    expect([left.stream.cancelled, left.observed.length, left.router.inFlight]).toEqual([true, 1, 0]);
  });
});
