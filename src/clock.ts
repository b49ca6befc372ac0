/** Time as a port: decisions take `now` as an argument, loops take a `Clock`, tests turn a virtual one by hand. */

export interface Timer {
  /** Stops the timer; harmless when it already fired. */
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time, milliseconds since the epoch. It can step; durations use `monotonicMs`. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start; never goes backward. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`. */
  after(delayMs: number, run: () => void): Timer;
}

/** Resolves after `delayMs`; rejects with the signal's reason when that aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** `run` every `intervalMs`, counted from the start of one run to the next; a late run skips the beats it missed. */
export function every(clock: Clock, intervalMs: number, run: () => void | Promise<void>): Timer {
  let cancelled = false;
  let timer: Timer;
  let due = clock.monotonicMs() + intervalMs;
  const fire = async () => {
    await run();
    if (cancelled) return;
    const now = clock.monotonicMs();
    due += intervalMs * Math.max(1, Math.ceil((now - due) / intervalMs));
    timer = clock.after(due - now, fire);
  };
  timer = clock.after(intervalMs, fire);
  return {
    cancel: () => {
      cancelled = true;
      timer.cancel();
    },
  };
}

/** The machine's own clock. */
export class SystemClock implements Clock {
  nowMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  after(delayMs: number, run: () => void): Timer {
    // setTimeout fires at once for a delay over 2^31 - 1 ms: such a wait is cut into pieces.
    const longest = 2 ** 31 - 1;
    let handle: ReturnType<typeof setTimeout>;
    const arm = (remaining: number) => {
      const piece = Math.min(Math.max(0, remaining), longest);
      handle = setTimeout(() => (remaining > piece ? arm(remaining - piece) : run()), piece);
    };
    arm(delayMs);
    return { cancel: () => clearTimeout(handle) };
  }
}

/** Resolves when every promise chain that could go on has done so. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A clock that stands still until `advance`; timers fire in order of their due time, each seeing its own time. */
export class VirtualClock implements Clock {
  #elapsedMs = 0;
  #sequence = 0;
  readonly #timers = new Map<number, { dueMs: number; run: () => void }>();

  constructor(readonly startMs = 0) {}

  nowMs(): number {
    return this.startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const id = this.#sequence++;
    this.#timers.set(id, { dueMs: this.#elapsedMs + Math.max(0, delayMs), run });
    return { cancel: () => this.#timers.delete(id) };
  }

  /** Moves time forward by `ms`, firing what falls due, and lets promises settle before, between and after. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsedMs + ms;
    await settled();
    for (;;) {
      const next = this.#nextDue(end);
      if (next === undefined) break;
      const timer = this.#timers.get(next);
      this.#timers.delete(next);
      if (!timer) continue;
      this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs);
      timer.run();
      await settled();
    }
    this.#elapsedMs = end;
  }

  #nextDue(endMs: number): number | undefined {
    let best: number | undefined;
    let bestDue = endMs;
    for (const [id, timer] of this.#timers) {
      if (timer.dueMs < bestDue || (timer.dueMs === bestDue && best === undefined)) {
        best = id;
        bestDue = timer.dueMs;
      }
    }
    return best;
  }
}
