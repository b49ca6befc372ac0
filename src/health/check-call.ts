/** One call of a plugin's health check: answers within the timeout, or a failure for each timeout that passes. */

import type { Clock, Timer } from "../clock.ts";
import { formatDuration } from "../config/units.ts";
import type { CheckAnswer, Probe } from "./probe.ts";

export interface CheckCallOptions {
  clock: Clock;
  probe: Probe;
  plugin: string;
  timeoutMs: number;
  /** Told the answer, or one failure for each `timeoutMs` without one. */
  answered: (answer: CheckAnswer, durationMs: number) => void;
  /** Told once, when the probe let go of the call: the plugin may be asked again. */
  settled: () => void;
}

/**
 * A timeout that fires this late was held up by a blocked loop or a suspended machine; the answer may be waiting to be
 * read. It is given as long again, once.
 */
const lateMs = 250;

export class CheckCall {
  readonly #options: CheckCallOptions;
  readonly #startedAt: number;
  readonly #controller = new AbortController();
  #timer: Timer;
  #state: "waiting" | "overdue" | "over" = "waiting";

  constructor(options: CheckCallOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonicMs();
    this.#timer = this.#arm(options.timeoutMs, true);
    void this.#run();
  }

  /** Drops the call: nothing is told any more. For a plugin whose process is gone. */
  abandon(): void {
    this.#state = "over";
    this.#timer.cancel();
    this.#controller.abort();
  }

  async #run(): Promise<void> {
    const { probe, plugin, timeoutMs, answered, settled } = this.#options;
    let answer: CheckAnswer;
    try {
      answer = await probe.check(plugin, { timeoutMs, signal: this.#controller.signal });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      answer = { status: "failure", kind: "error", detail };
    }
    if (this.#state === "over") return;
    const inTime = this.#state === "waiting";
    this.#state = "over";
    this.#timer.cancel();
    if (inTime) answered(answer, this.#elapsedMs());
    settled();
  }

  #elapsedMs(): number {
    return this.#options.clock.monotonicMs() - this.#startedAt;
  }

  #arm(delayMs: number, mayWait: boolean): Timer {
    const { clock } = this.#options;
    const dueAt = clock.monotonicMs() + delayMs;
    return clock.after(delayMs, () => this.#expired(dueAt, mayWait));
  }

  #expired(dueAt: number, mayWait: boolean): void {
    const { clock, timeoutMs, answered } = this.#options;
    if (mayWait && clock.monotonicMs() - dueAt > lateMs) {
      this.#timer = this.#arm(lateMs, false);
      return;
    }
    this.#state = "overdue";
    this.#timer = this.#arm(timeoutMs, true);
    const elapsedMs = this.#elapsedMs();
    const detail = `no answer to the health check within ${formatDuration(elapsedMs)}`;
    this.#controller.abort(new DOMException(detail, "TimeoutError"));
    answered({ status: "failure", kind: "timeout", detail }, elapsedMs);
  }
}
