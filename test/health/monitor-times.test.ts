import { describe, expect, spyOn, test } from "bun:test";
import { BlockableClock, intervalMs, monitor } from "./monitored.ts";

describe("times", () => {
  test.each([1, 4, 40, 400])("%d plugins are each checked once a round, evenly spread", async (count) => {
    const names = Array.from({ length: count }, (_, i) => `p${i}`);
    const { clock, probe, subject } = monitor(names);
    subject.start();
    await clock.advance(3 * intervalMs - 1);
    subject.stop();
    const slot = intervalMs / count;
    names.forEach((name, index) => {
      const starts = probe.starts.get(name) ?? [];
      expect(starts).toHaveLength(3);
      starts.forEach((at, round) => {
        const late = at - round * intervalMs - index * slot;
        expect(late).toBeGreaterThanOrEqual(-1);
        expect(late).toBeLessThanOrEqual(slot / 4);
      });
    });
  });

  test("nothing is checked before start, after stop, or twice by starting twice", async () => {
    const { clock, probe, subject } = monitor(["voice"]);
    await clock.advance(intervalMs);
    expect(probe.starts.size).toBe(0);
    subject.start();
    await clock.advance(2_000);
    subject.start();
    await clock.advance(2 * intervalMs - 2_001);
    subject.stop();
    await clock.advance(5 * intervalMs);
    expect(probe.starts.get("voice")).toHaveLength(2);
  });

  test("after an hour's suspension the missed rounds are skipped, and the rhythm goes on", async () => {
    const clock = new BlockableClock(0);
    const { probe, subject } = monitor(["a", "b", "c", "d"], { clock });
    subject.start();
    await clock.advance(2 * intervalMs - 1);
    clock.block(3_601_700);
    const listed = spyOn(probe, "plugins");
    const before = [...probe.starts.values()].flat().length;
    await clock.advance(1);
    // The 720 missed rounds are stepped over, not walked through.
    expect(listed.mock.calls.length).toBeLessThanOrEqual(4);
    // At most the slot that fell due within one slot's width.
    expect([...probe.starts.values()].flat().length - before).toBeLessThanOrEqual(2);
    await clock.advance(2 * intervalMs);
    for (const starts of probe.starts.values()) expect(starts.length).toBeLessThanOrEqual(5);
    const last = probe.starts.get("b")?.at(-1) ?? 0;
    expect((last % intervalMs) / intervalMs).toBeWithin(0.25, 0.3126);
  });

  test("a loop blocked for 2 s with 400 plugins fires at most the last 250 ms of slots", async () => {
    const clock = new BlockableClock(0);
    const names = Array.from({ length: 400 }, (_, i) => `p${i}`);
    const { probe, subject } = monitor(names, { clock });
    subject.start();
    await clock.advance(intervalMs);
    clock.block(2_000);
    const before = [...probe.starts.values()].flat().length;
    await clock.advance(13);
    expect([...probe.starts.values()].flat().length - before).toBeWithin(1, 23);
  });
});
