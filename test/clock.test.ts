import { describe, expect, test } from "bun:test";
import { type Clock, every, SystemClock, sleep, VirtualClock } from "../src/clock.ts";

/** What every clock does; `pass` lets the given time go by. */
function clockContract(name: string, make: () => { clock: Clock; pass: (ms: number) => Promise<void> }) {
  describe(`${name}: what every clock does`, () => {
    test("time goes forward", async () => {
      const { clock, pass } = make();
      const [wallMs, monotonicMs] = [clock.nowMs(), clock.monotonicMs()];
      await pass(15);
      expect(clock.nowMs() - wallMs).toBeGreaterThanOrEqual(14);
      expect(clock.monotonicMs() - monotonicMs).toBeGreaterThanOrEqual(14);
    });

    test("a timer fires once, after its delay, and earlier ones first", async () => {
      const { clock, pass } = make();
      const fired: string[] = [];
      clock.after(20, () => fired.push("second"));
      clock.after(5, () => fired.push("first"));
      await pass(60);
      expect(fired).toEqual(["first", "second"]);
    });

    test("a cancelled timer never fires", async () => {
      const { clock, pass } = make();
      let fired = false;
      const timer = clock.after(5, () => {
        fired = true;
      });
      timer.cancel();
      await pass(20);
      timer.cancel();
      expect(fired).toBe(false);
    });

    test("sleep ends with its signal", async () => {
      const { clock } = make();
      const controller = new AbortController();
      const sleeping = sleep(clock, 60_000, controller.signal);
      controller.abort(new Error("enough"));
      expect(sleeping).rejects.toThrow("enough");
      expect(sleep(clock, 1, controller.signal)).rejects.toThrow("enough");
    });
  });
}

clockContract("virtual", () => {
  const clock = new VirtualClock(1_000);
  return { clock, pass: (ms) => clock.advance(ms) };
});
clockContract("system", () => {
  const clock = new SystemClock();
  return { clock, pass: (ms) => sleep(clock, ms) };
});

describe("the virtual clock", () => {
  test("stands still until it is advanced, and each timer sees its own time", async () => {
    const clock = new VirtualClock(1_000);
    const seen: number[] = [];
    for (const delayMs of [30, 10, 20]) clock.after(delayMs, () => seen.push(clock.nowMs()));
    expect(clock.nowMs()).toBe(1_000);
    await clock.advance(25);
    expect(seen).toEqual([1_010, 1_020]);
    expect(clock.nowMs()).toBe(1_025);
  });

  test("fires timers that timers set, within one advance", async () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const again = () => {
      seen.push(clock.nowMs());
      if (seen.length < 3) clock.after(10, again);
    };
    clock.after(10, again);
    await clock.advance(100);
    expect(seen).toEqual([10, 20, 30]);
  });
});

describe("every", () => {
  test("runs on the beat", async () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const timer = every(clock, 100, () => {
      seen.push(clock.nowMs());
    });
    await clock.advance(350);
    timer.cancel();
    await clock.advance(500);
    expect(seen).toEqual([100, 200, 300]);
  });

  test("skips the beats that a slow run missed, and stays on the grid", async () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const timer = every(clock, 100, async () => {
      seen.push(clock.nowMs());
      if (seen.length === 1) await sleep(clock, 250);
    });
    await clock.advance(600);
    timer.cancel();
    expect(seen).toEqual([100, 400, 500, 600]);
  });
});
