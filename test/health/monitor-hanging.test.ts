import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { CheckAnswer, HealthResult } from "../../src/health/probe.ts";
import { BlockableClock, intervalMs, monitor, says } from "./monitored.ts";
import { type Behaviour, healthy } from "./scripted-probe.ts";

describe("hanging", () => {
  test.each(["hang", "stuck"] as const)(
    "a plugin whose check does %s fails every 5 s, is failed after 15 s, and delays nobody",
    async (behaviour) => {
      const { clock, probe, results, subject, of } = monitor(["voice", "android", "discord", "stubs"]);
      probe.behaviour.set("voice", behaviour);
      subject.start();
      await clock.advance(3 * intervalMs - 1_300);
      expect(of("voice")).toMatchObject({ status: "unhealthy", consecutiveFailures: 2, durationMs: null });
      await clock.advance(2 * 1_300);
      expect(of("voice")).toMatchObject({ status: "failed", consecutiveFailures: 3 });
      expect(of("voice")?.detail).toStartWith("no answer to the health check within");
      expect(results.filter(({ platform }) => platform === "voice").map(({ failure }) => failure)).toEqual([
        "timeout",
        "timeout",
        "timeout",
      ]);
      for (const other of ["android", "discord", "stubs"]) {
        const starts = probe.starts.get(other) ?? [];
        const gaps = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
        expect(starts.length).toBeGreaterThanOrEqual(3);
        // A slot is 1,250 ms, its jitter at most a quarter of it either way.
        for (const gap of gaps) expect(Math.abs(gap - intervalMs)).toBeLessThanOrEqual(313);
        expect(of(other)).toMatchObject({ status: "healthy" });
      }
      expect(probe.mostInFlight.get("voice")).toBe(1);
      // Told to give up, one that hangs lets go and is asked again; one that is stuck is not.
      expect(probe.starts.get("voice")).toHaveLength(behaviour === "stuck" ? 1 : 4);
    },
  );

  test("a late answer is not counted, and the next check is sent after it", async () => {
    const { clock, probe, results, subject } = monitor(["voice"], { timeoutMs: 1_000 });
    probe.behaviour.set("voice", says({ status: "healthy" }, 1_500));
    subject.start();
    await clock.advance(2 * intervalMs - 1);
    expect(results.map(({ failure, consecutiveFailures }) => [failure, consecutiveFailures])).toEqual([
      ["timeout", 1],
      ["timeout", 2],
    ]);
  });

  const heldUp: { answers: boolean; again: boolean; results: HealthResult["failure"][] }[] = [
    { answers: true, again: false, results: [null] },
    { answers: false, again: false, results: ["timeout"] },
    { answers: false, again: true, results: ["timeout"] },
  ];
  test.each(heldUp)(
    "a timeout held up by a blocked loop waits 250 ms for what lies there: $answers",
    async (row) => {
      const clock = new BlockableClock(0);
      const { probe, results, subject } = monitor(["voice"], { clock, timeoutMs: 1_000 });
      const asked: { atMs: number; answer: (answer: CheckAnswer) => void }[] = [];
      probe.check = () =>
        new Promise((resolve) => {
          asked.push({ atMs: clock.monotonicMs(), answer: resolve });
        });
      subject.start();
      await clock.advance(1_250);
      clock.block(3_000);
      await clock.advance((asked[0]?.atMs ?? 0) + 1_000 - 1_250);
      if (row.again) clock.block(700);
      if (row.answers) asked[0]?.answer({ status: "healthy" });
      await clock.advance(251);
      expect(results.map(({ failure }) => failure)).toEqual(row.results);
      subject.stop();
    },
  );

  test("a beat that would wait longer than half an interval is skipped", async () => {
    const { clock, probe, subject } = monitor(["voice"], { timeoutMs: 12_000 });
    probe.behaviour.set("voice", says({ status: "healthy" }, 8_500));
    subject.start();
    await clock.advance(3 * intervalMs - 1);
    const [first = 0, second = 0] = probe.starts.get("voice") ?? [];
    expect(second - first).toBeGreaterThan(8_600);
  });

  test("a timeout longer than the interval still never has two under way", async () => {
    const { clock, probe, subject, of } = monitor(["voice"], { timeoutMs: 12_000 });
    probe.behaviour.set("voice", "hang");
    subject.start();
    await clock.advance(20 * intervalMs);
    expect(probe.mostInFlight.get("voice")).toBe(1);
    expect(of("voice")).toMatchObject({ status: "failed" });
  });
});

test("whatever the plugins do, none ever has two checks under way and every answer is counted once", async () => {
  const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
    fc.constantFrom<Behaviour>("hang", "stuck", healthy),
    fc.integer({ min: 0, max: 12_000 }).map((afterMs) => says({ status: "healthy" }, afterMs)),
  );
  const act = fc.record({
    plugin: fc.constantFrom("a", "b", "c"),
    become: behaviour,
    expected: fc.boolean(),
    waitMs: fc.integer({ min: 0, max: 9_000 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { maxLength: 25 }),
      fc.integer({ min: 100, max: 12_000 }),
      async (acts, timeoutMs) => {
        const { clock, probe, results, subject } = monitor(["a", "b", "c"], { timeoutMs });
        // A dropped call belongs to a process that is gone: its successor starts with none.
        subject.start();
        for (const { plugin, become, expected, waitMs } of acts) {
          probe.behaviour.set(plugin, become);
          probe.set(plugin, { expected });
          subject.refresh();
          if (!expected) probe.inFlight.delete(plugin);
          await clock.advance(waitMs);
          if (!expected) probe.inFlight.delete(plugin);
        }
        subject.stop();
        for (const most of probe.mostInFlight.values()) expect(most).toBe(1);
        for (const result of results) {
          expect(result.consecutiveFailures === 0).toBe(result.failure === null);
          expect(result.status === "failed").toBe(result.consecutiveFailures >= 3);
        }
      },
    ),
    { numRuns: 150 },
  );
});
