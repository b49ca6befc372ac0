import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleAll, isBrokenCircuitError } from "cockatiel";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { BreakerOpenError, PlatformCircuitBreaker } from "../../src/health/breaker.ts";

const resetMs = 30_000;
const startMs = 1_700_000_000_000;

function breaker(failures = 3) {
  const clock = new VirtualClock(startMs);
  return { clock, subject: new PlatformCircuitBreaker({ clock, failures, resetMs }) };
}

function opened(failures = 3) {
  const made = breaker(failures);
  for (let i = 0; i < failures; i++) made.subject.recordFailure("timeout");
  return made;
}

afterEach(() => {
  setSystemTime();
});

describe("closed", () => {
  test("opens at the third failure in a row, and shows it at once", () => {
    const { subject } = breaker();
    const seen = [1, 2, 3].map(() => {
      subject.recordFailure("timeout");
      return subject.getState().state;
    });
    expect(seen).toEqual(["closed", "closed", "open"]);
    expect(subject.getState()).toMatchObject({
      consecutiveFailures: 3,
      sinceMs: startMs,
      nextProbeMs: startMs + resetMs,
      reason: "3 failures in a row, the last: timeout",
      isolated: false,
    });
  });

  test("a success in between starts the count anew", () => {
    const { subject } = breaker();
    for (const result of ["f", "f", "s", "f", "f"])
      result === "f" ? subject.recordFailure("crash") : subject.recordSuccess();
    expect(subject.getState()).toMatchObject({ state: "closed", consecutiveFailures: 2, nextProbeMs: null });
  });

  test("overload never opens it, and does not hide the failures around it", () => {
    const { subject } = breaker();
    for (let i = 0; i < 1_000; i++) subject.recordFailure("overload");
    expect(subject.getState()).toMatchObject({ state: "closed", consecutiveFailures: 0 });
    for (const kind of ["timeout", "overload", "timeout", "overload", "timeout"]) subject.recordFailure(kind);
    expect(subject.getState().state).toBe("open");
  });
});

test("a permit counts once, however often it is reported", () => {
  const { subject } = breaker();
  const permit = subject.acquire();
  for (let i = 0; i < 5; i++) permit?.failure("crash");
  expect(subject.getState()).toMatchObject({ state: "closed", consecutiveFailures: 1 });
});

describe("open", () => {
  test("refuses until the reset time, then shows half-open though nobody asked", async () => {
    const { clock, subject } = opened();
    await clock.advance(resetMs - 1);
    expect([subject.getState().state, subject.canExecute()]).toEqual(["open", false]);
    expect(subject.retryAfterMs()).toBe(1);
    await clock.advance(1);
    expect(subject.getState()).toMatchObject({
      state: "half-open",
      sinceMs: startMs + resetMs,
      nextProbeMs: startMs + resetMs,
    });
  });

  test("a late success of a call that began before it opened does not close it", async () => {
    const { clock, subject } = breaker();
    const early = subject.acquire();
    for (let i = 0; i < 3; i++) subject.recordFailure("timeout");
    early?.success();
    expect(subject.getState()).toMatchObject({ state: "open", consecutiveFailures: 3 });
    await clock.advance(resetMs);
    expect(subject.canExecute()).toBe(true);
    early?.success();
    expect(subject.getState().state).toBe("half-open");
  });

  test("a stepped wall clock moves nothing: the reset counts monotonic time", async () => {
    class SteppingClock extends VirtualClock {
      stepMs = 0;
      override nowMs(): number {
        return super.nowMs() + this.stepMs;
      }
    }
    for (const stepMs of [3_600_000, -3_600_000]) {
      const clock = new SteppingClock(startMs);
      const subject = new PlatformCircuitBreaker({ clock, failures: 1, resetMs });
      subject.recordFailure("crash");
      clock.stepMs = stepMs;
      expect(subject.canExecute()).toBe(false);
      await clock.advance(resetMs);
      expect(subject.canExecute()).toBe(true);
    }
  });
});

describe("half-open", () => {
  const after: {
    result: string;
    report: (b: PlatformCircuitBreaker) => void;
    state: string;
    next: boolean;
  }[] = [
    { result: "success", report: (b) => b.recordSuccess(), state: "closed", next: true },
    { result: "failure", report: (b) => b.recordFailure("crash"), state: "open", next: false },
    { result: "overload", report: (b) => b.recordFailure("overload"), state: "half-open", next: true },
    { result: "nothing yet", report: () => undefined, state: "half-open", next: false },
  ];
  test.each(after)("after a probe with $result it is $state, and the next call goes: $next", async (row) => {
    const { clock, subject } = opened();
    await clock.advance(resetMs);
    expect(subject.canExecute()).toBe(true);
    expect(subject.canExecute()).toBe(false);
    row.report(subject);
    expect(subject.getState().state as string).toBe(row.state);
    expect(subject.canExecute()).toBe(row.next);
  });

  test("a failed probe waits the whole reset time again", async () => {
    const { clock, subject } = opened();
    await clock.advance(resetMs + 7_000);
    subject.acquire()?.failure("timeout");
    expect(subject.getState()).toMatchObject({
      consecutiveFailures: 4,
      nextProbeMs: startMs + 2 * resetMs + 7_000,
    });
  });

  test("a probe whose caller left frees the place; one nobody reports lapses after the reset time", async () => {
    const { clock, subject } = opened();
    await clock.advance(resetMs);
    subject.acquire()?.release();
    const lost = subject.acquire();
    expect(lost).not.toBeNull();
    await clock.advance(resetMs - 1);
    expect(subject.acquire()).toBeNull();
    await clock.advance(1);
    const next = subject.acquire();
    expect(next).not.toBeNull();
    lost?.failure("timeout");
    expect(subject.getState().state).toBe("half-open");
    next?.success();
    expect(subject.getState().state).toBe("closed");
  });
});

describe("by hand", () => {
  test("isolated stays open past the reset time until it is closed by hand", async () => {
    const { clock, subject } = breaker();
    subject.isolate("maintenance");
    await clock.advance(10 * resetMs);
    expect(subject.getState()).toMatchObject({
      state: "open",
      isolated: true,
      nextProbeMs: null,
      reason: "maintenance",
      movedBy: "person",
    });
    expect([subject.canExecute(), subject.retryAfterMs()]).toEqual([false, null]);
    subject.trip("not now", "person");
    expect(subject.getState()).toMatchObject({ isolated: true, reason: "maintenance" });
    subject.close("done", "person");
    expect(subject.canExecute()).toBe(true);
  });
});

describe("execute", () => {
  test("passes results and errors through, and refuses with a cockatiel error that says when", async () => {
    const { subject } = breaker(2);
    expect(await subject.execute(() => 7)).toBe(7);
    const fail = () => Promise.reject(new Error("broken"));
    await expect(subject.execute(fail)).rejects.toThrow("broken");
    await expect(subject.execute(fail, () => null)).rejects.toThrow("broken");
    expect(subject.getState().consecutiveFailures).toBe(1);
    await expect(subject.execute(fail)).rejects.toThrow("broken");
    const refused = await subject.execute(() => 7).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BreakerOpenError);
    expect(isBrokenCircuitError(refused)).toBe(true);
    expect(refused).toMatchObject({ code: "breaker-open", retryAfterMs: resetMs });
    expect(String(refused)).toContain("try again in 30 s");
  });
});

describe("stored form", () => {
  test("survives a restart with the time that is left", async () => {
    const { clock, subject } = opened();
    await clock.advance(10_000);
    const stored: unknown = JSON.parse(JSON.stringify(subject));
    const later = new VirtualClock(startMs + 15_000);
    const next = new PlatformCircuitBreaker({ clock: later, failures: 3, resetMs });
    expect(next.restore(stored)).toBe(true);
    expect(next.getState()).toMatchObject({
      state: "open",
      consecutiveFailures: 3,
      sinceMs: startMs,
      nextProbeMs: startMs + resetMs,
      reason: "3 failures in a row, the last: timeout",
    });
    await later.advance(15_000);
    expect(next.getState().state).toBe("half-open");
  });

  test("a wall clock set back by a day waits at most one reset time", () => {
    const { subject } = opened();
    const clock = new VirtualClock(startMs - 86_400_000);
    const next = new PlatformCircuitBreaker({ clock, failures: 3, resetMs });
    next.restore(subject.toJSON());
    expect(next.retryAfterMs()).toBe(resetMs);
  });

  test("an interrupted probe may be made again at once; isolation stays", async () => {
    const { clock, subject } = opened();
    await clock.advance(resetMs);
    subject.canExecute();
    const probing = breaker().subject;
    probing.restore(subject.toJSON());
    expect(probing.canExecute()).toBe(true);
    subject.isolate("hold");
    const held = breaker().subject;
    held.restore(subject.toJSON());
    expect(held.getState()).toMatchObject({ isolated: true, reason: "hold" });
  });

  const broken = [
    null,
    3,
    "x",
    {},
    { ownState: null },
    { ownState: { value: 9 } },
    { ownState: { value: 1 } },
  ];
  test.each(broken.map((value) => [JSON.stringify(value), value]))(
    "refuses %s and stays closed",
    (_, value) => {
      const { subject } = breaker();
      expect(subject.restore(value)).toBe(false);
      expect(subject.getState().state).toBe("closed");
    },
  );

  test.each([["x"], [null], [-4], [{}], [1.5]])("a stored count of %p counts as none", (count) => {
    const { subject } = breaker();
    expect(subject.restore({ ownState: { value: CircuitState.Closed }, breakerState: count })).toBe(true);
    expect(subject.getState().consecutiveFailures).toBe(0);
    for (let i = 0; i < 2; i++) subject.recordFailure("crash");
    expect(subject.getState().state).toBe("closed");
    subject.recordFailure("crash");
    expect(subject.getState().state).toBe("open");
  });
});

type Step = { do: "succeed" | "fail" } | { do: "wait"; ms: number };
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<Step>({ do: "fail" }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: "succeed" }) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(1, 9_999, 15_000, resetMs - 1, resetMs)
        .map((ms): Step => ({ do: "wait", ms })),
    },
  ),
  { maxLength: 60 },
);

test("agrees with cockatiel's own policy, call by call, and each reads what the other stored", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, async (failures, script) => {
      const { clock, subject } = breaker(failures);
      setSystemTime(new Date(startMs));
      const options = () => ({ halfOpenAfter: resetMs, breaker: new ConsecutiveBreaker(failures) });
      const model = circuitBreaker(handleAll, options());
      const call = async (run: (fn: () => number) => Promise<number>, ok: boolean): Promise<string> => {
        try {
          await run(() => {
            if (!ok) throw new Error("failed");
            return 1;
          });
          return "ok";
        } catch (error) {
          return isBrokenCircuitError(error) ? "refused" : "failed";
        }
      };
      for (const step of script) {
        if (step.do === "wait") {
          await clock.advance(step.ms);
          setSystemTime(new Date(clock.nowMs()));
          continue;
        }
        const ok = step.do === "succeed";
        const ours = await call((fn) => subject.execute(fn), ok);
        expect(ours).toBe(await call((fn) => model.execute(fn), ok));
        const { ownState, breakerState } = subject.toJSON();
        const theirs = model.toJSON() as {
          ownState: { value: number; openedAt?: number; attemptNo?: number };
          breakerState: number;
        };
        expect([ownState.value, ownState.openedAt, ownState.attemptNo, breakerState]).toEqual([
          theirs.ownState.value as CircuitState,
          theirs.ownState.openedAt,
          theirs.ownState.attemptNo,
          theirs.breakerState,
        ]);
      }
      const reader = breaker(failures).subject;
      expect(reader.restore(JSON.parse(JSON.stringify(model.toJSON())))).toBe(true);
      expect(reader.toJSON().ownState.value).toBe(subject.toJSON().ownState.value);
      const initialState: unknown = JSON.parse(JSON.stringify(subject));
      expect(circuitBreaker(handleAll, { ...options(), initialState }).state).toBe(model.state);
    }),
    { numRuns: 200 },
  );
});

test("whatever happens, at most one probe is under way and open lets nothing through", async () => {
  const act = fc.oneof(
    fc.constant("ask" as const),
    fc.constantFrom("success", "failure", "release", "overload").map((how) => ({ settle: how, at: 0 })),
    fc.record({
      settle: fc.constantFrom("success", "failure", "release", "overload"),
      at: fc.nat(20),
    }),
    fc.constantFrom(1, 5_000, resetMs - 1).map((ms) => ({ wait: ms })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 120 }), async (acts) => {
      const { clock, subject } = breaker(2);
      const permits: { permit: NonNullable<ReturnType<typeof subject.acquire>>; probeAt: number | null }[] =
        [];
      for (const action of acts) {
        if (action === "ask") {
          const before = subject.getState().state;
          const permit = subject.acquire();
          if (before === "closed") expect(permit).not.toBeNull();
          if (before === "open") expect(permit).toBeNull();
          if (!permit) continue;
          const now = clock.monotonicMs();
          if (before === "half-open") {
            const live = permits.filter(({ probeAt }) => probeAt !== null && now - probeAt < resetMs);
            expect(live).toHaveLength(0);
          }
          permits.push({ permit, probeAt: before === "half-open" ? now : null });
        } else if ("wait" in action) await clock.advance(action.wait);
        else {
          const [taken] = permits.splice(action.at, 1);
          if (action.settle === "success") taken?.permit.success();
          else if (action.settle === "release") taken?.permit.release();
          else taken?.permit.failure(action.settle === "overload" ? "overload" : "crash");
        }
        if (subject.getState().state === "closed") for (const entry of permits) entry.probeAt = null;
      }
    }),
    { numRuns: 500 },
  );
});
