import { expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import type { DispatchFailureKind, PluginState } from "../../src/routing/dispatcher.ts";
import type { Outcome } from "../../src/routing/outcome.ts";
import { Router } from "../../src/routing/router.ts";
import { type Behaviour, ScriptedDispatcher, ScriptedGate } from "./scripted-dispatcher.ts";

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

const world = fc.tuple(
  ...platforms.map(() => fc.record({ behaviour, state: fc.constantFrom(...states), open: fc.boolean() })),
);

const requests = fc.array(
  fc.record({
    platform: fc.constantFrom(...platforms, "nobody"),
    deadlineMs: fc.option(fc.integer({ min: -10, max: 9_000 }), { nil: null }),
    leavesAfterMs: fc.option(fc.integer({ min: 0, max: 6_000 }), { nil: null }),
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
        dispatcher.behaviour.set(platform, plugin.behaviour);
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
      const answers = asked.map(({ platform, deadlineMs, leavesAfterMs }) => {
        const client = new AbortController();
        if (leavesAfterMs !== null) clock.after(leavesAfterMs, () => client.abort());
        const limit = deadlineMs === null ? {} : { deadlineMs };
        return router.route({ platform, payload: null, signal: client.signal, ...limit });
      });
      // The plugin's 5 s and two fallbacks of 1 s.
      await clock.advance(7_001);
      const settled = await Promise.all(answers);
      expect(outcomes.map(({ requestId }) => requestId).sort()).toEqual(
        asked.map((_, index) => `r${index + 1}`).sort(),
      );
      expect(router.inFlight).toBe(0);
      expect(breakers.reports).toHaveLength(breakers.granted);
      settled.forEach((outcome, index) => {
        const request = asked[index];
        if (!request) return;
        expect(outcome.durationMs).toBeLessThanOrEqual(Math.max(0, request.deadlineMs ?? 7_000));
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
