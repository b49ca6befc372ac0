/**
 * One call that waits for its answer.
 *
 *   asked ──answer, error, timeout, cancel, close──▶ settled        the caller gets the result
 *     │ first chunk: the caller gets the stream
 *     ▼
 *   streaming ──answer, error, silence, cancel, close──▶ settled    the stream's `done` tells how
 */

import type { Clock, Timer } from "../clock.ts";
import type { Json } from "../sdk/plugin.ts";
import type { Credit } from "./stream-credit.ts";
import { StreamIntake } from "./stream-intake.ts";
import { type CallFailure, type CallOptions, type CallResult, failed } from "./transport.ts";

export interface PendingPorts {
  clock: Clock;
  grant(credit: Credit): boolean;
  /** Nobody waits any more; comes back as `settle(failure)`. */
  giveUp(failure: CallFailure): void;
}

export class PendingCall {
  readonly #result = Promise.withResolvers<CallResult>();
  /** Settles once, with the answer or at the first chunk. */
  readonly result: Promise<CallResult> = this.#result.promise;
  readonly #ports: PendingPorts;
  readonly #method: string;
  readonly #options: CallOptions;
  readonly #timer: Timer;
  readonly #onAbort = () => this.#ports.giveUp(failed("cancelled", "the caller went away"));
  #stream: StreamIntake | null = null;

  constructor(method: string, options: CallOptions, ports: PendingPorts) {
    this.#ports = ports;
    this.#method = method;
    this.#options = options;
    const { timeoutMs, signal } = options;
    this.#timer = ports.clock.after(timeoutMs, () =>
      ports.giveUp(failed("timeout", `no answer to ${method} within ${Math.round(timeoutMs)} ms`)),
    );
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** One chunk came, in a message of `bytes`. */
  chunk(chunk: Json, bytes: number): void {
    const { stream: terms } = this.#options;
    if (!terms) {
      this.#ports.giveUp(
        failed("protocol", `it streams its answer to ${this.#method}, which takes no stream`),
      );
      return;
    }
    const reason = terms.refuse(chunk);
    if (reason !== null) {
      const which = (this.#stream?.received ?? 0) + 1;
      this.#ports.giveUp(failed("protocol", `chunk ${which} of the answer ${reason}`));
      return;
    }
    if (!this.#stream) {
      this.#timer.cancel();
      this.#stream = new StreamIntake({ ...this.#ports, idleMs: terms.idleMs });
      this.#result.resolve({ ok: true, value: null, stream: this.#stream });
    }
    this.#stream.push(chunk, bytes);
  }

  settle(result: CallResult): void {
    this.#timer.cancel();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    if (!this.#stream) this.#result.resolve(result);
    else this.#stream.end(result.ok ? missing(result.value, this.#stream.received) : result);
  }
}

/** The failure that it is when the answer's `streamed` is another number than what came; null when nothing is missing. */
function missing(answer: Json, received: number): CallFailure | null {
  const { streamed } = (typeof answer === "object" && answer !== null ? answer : {}) as Record<string, Json>;
  if (typeof streamed !== "number" || streamed === received) return null;
  return failed("protocol", `it streamed ${streamed} chunks, and ${received} of them could be read`);
}
