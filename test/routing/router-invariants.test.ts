import { expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import type { DispatchFailureKind, PluginState } from "../../src/routing/dispatcher.ts";
import type { Outcome } from "../../src/routing/outcome.ts";
import { Router } from "../../src/routing/router.ts";
import { type Behaviour, ScriptedDispatcher, ScriptedGate } from "./scripted-dispatcher.ts";
import { ScriptedStream } from "./scripted-stream.ts";

const platforms = ["voice", "discord", "stubs"];
const kinds: DispatchFailureKind[] = [
  "plugin-error",
  "timeout",
  "crash",
  "bad-answer",
  "unavailable",
  "overload",
  "too-large",
  "cancelled",
  "shed",
  "stopped",
];
const states: PluginState[] = [
  "ready",
  "ready",
  "ready",
  "starting",
  "shed",
  "stopped",
  "disabled",
  "failed",
];

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  afterMs: fc.integer({ min: 0, max: 8_000 }),
  answer: fc.oneof(
    fc.constant<Behaviour["answer"]>({ ok: true, result: 1 }),
    fc.constantFrom<Behaviour["answer"]>(null, "throws"),
    fc.constantFrom(...kinds).map((kind): Behaviour["answer"] => ({ ok: false, kind, message: kind })),
  ),
});

/** A stream of `count` chunks, one every `everyMs`, that then ends so. */
const script = fc.record({
  count: fc.nat(5),
  everyMs: fc.integer({ min: 0, max: 500 }),
  end: fc.option(fc.constantFrom(...kinds), { nil: null }),
});
type Script = typeof script extends fc.Arbitrary<infer Value> ? Value : never;

function play({ count, everyMs, end }: Script, clock: VirtualClock): ScriptedStream {
  const stream = new ScriptedStream();
  const next = (n: number): void => {
    if (n < count) stream.push(n);
    else stream.end(end && { ok: false, kind: end, message: end });
    if (n < count) clock.after(everyMs, () => next(n + 1));
  };
  next(0);
  return stream;
}

const world = fc.tuple(
  ...platforms.map(() =>
    fc.record({
      behaviour,
      stream: fc.option(script, { nil: null }),
      state: fc.constantFrom(...states),
      open: fc.boolean(),
    }),
  ),
);

const requests = fc.array(
  fc.record({
    platform: fc.constantFrom(...platforms, "nobody"),
    deadlineMs: fc.option(fc.integer({ min: -10, max: 9_000 }), { nil: null }),
    leavesAfterMs: fc.option(fc.integer({ min: 0, max: 6_000 }), { nil: null }),
    streams: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);

test("each request has exactly one outcome, in time, and each permit is settled exactly once", async () => {
  await fc.assert(
    fc.asyncProperty(world, requests, async (plugins, asked) => {
      const clock = new VirtualClock();
      const dispatcher = new ScriptedDispatcher(clock, platforms);
      const breakers = new ScriptedGate();
      platforms.forEach((platform, index) => {
        const plugin = plugins[index];
        if (!plugin) return;
        const { behaviour, stream } = plugin;
        const opened = () => ({ ok: true, result: null, stream: play(stream as Script, clock) }) as const;
        dispatcher.behaviour.set(platform, stream ? { ...behaviour, answer: opened } : behaviour);
        dispatcher.set(platform, { state: plugin.state });
        if (plugin.open) breakers.open.set(platform, { reason: "open", retryAfterMs: 100 });
      });
      const outcomes: Outcome[] = [];
      let id = 0;
      const router = new Router({
        clock,
        log: silentLog,
        dispatcher,
        breakers,
        fallbacks: () => ["discord", "stubs"],
        newRequestId: () => `r${++id}`,
        observers: [{ routed: (outcome) => outcomes.push(outcome) }],
        maxInFlight: 10,
      });
      const answers = asked.map(({ platform, deadlineMs, leavesAfterMs, streams }) => {
        const client = new AbortController();
        if (leavesAfterMs !== null) clock.after(leavesAfterMs, () => client.abort());
        const limit = deadlineMs === null ? {} : { deadlineMs };
        return router.route({ platform, payload: null, signal: client.signal, streams, ...limit });
      });
      // What each client was told first, then the chunks it took, then what it all came to.
      const ends = answers.map(async (answer) => {
        const outcome = await answer;
        if (outcome.kind !== "answered" || !outcome.stream) return outcome;
        const chunks = await Array.fromAsync(outcome.stream);
        expect(chunks).toEqual(Array.from({ length: chunks.length }, (_, n) => n));
        return outcome.stream.done;
      });
      // The plugin's 5 s and two fallbacks of 1 s, and the longest stream.
      await clock.advance(7_001 + 5 * 500);
      const settled = await Promise.all(ends);
      expect(outcomes).toEqual(expect.arrayContaining(settled));
      expect(outcomes.map(({ requestId }) => requestId).sort()).toEqual(
        asked.map((_, index) => `r${index + 1}`).sort(),
      );
      expect(router.inFlight).toBe(0);
      expect(breakers.reports).toHaveLength(breakers.granted);
      settled.forEach((outcome, index) => {
        const request = asked[index];
        if (!request) return;
        expect(outcome.durationMs).toBeLessThanOrEqual(Math.max(0, request.deadlineMs ?? 9_500));
        if (outcome.kind === "answered") {
          expect(outcome.attempts.filter((attempt) => attempt.outcome === "answered")).toHaveLength(1);
          expect(outcome.degraded).toBe(outcome.plugin !== request.platform);
          expect(outcome.fallbackFor !== undefined).toBe(outcome.degraded);
        } else {
          expect(outcome.attempts.some((attempt) => attempt.outcome === "answered")).toBe(false);
          expect(outcome.status === 404).toBe(
            request.platform === "nobody" && outcome.code !== "router-busy",
          );
        }
      });
      // Nothing is sent to a plugin that is not ready or whose breaker is open.
      for (const { plugin } of dispatcher.calls) {
        expect(dispatcher.resolve(plugin)?.state).toBe("ready");
        expect(breakers.open.has(plugin)).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});
