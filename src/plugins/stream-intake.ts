/** The conductor's end of one answer in chunks: what came and was not taken yet, and the credit given for what was. */

import type { Clock, Timer } from "../clock.ts";
import type { Json } from "../sdk/plugin.ts";
import { type Credit, mostWaitingBytes, mostWaitingChunks, worthGranting } from "./stream-credit.ts";
import { type CallFailure, failed, type JsonStream } from "./transport.ts";

export interface IntakePorts {
  clock: Clock;
  /** Longest silence of the plugin; it does not count while chunks wait to be taken. */
  idleMs: number;
  /** Tells the plugin; false when it cannot be told now. */
  grant(credit: Credit): boolean;
  /** Ends the call; comes back as `end(failure)`. */
  giveUp(failure: CallFailure): void;
}

type Step = IteratorResult<Json, undefined>;
const over: Step = { done: true, value: undefined };

/** Has one consumer: every iteration goes on where the last one was. */
export class StreamIntake implements JsonStream {
  readonly #ports: IntakePorts;
  readonly #done = Promise.withResolvers<CallFailure | null>();
  readonly done: Promise<CallFailure | null> = this.#done.promise;
  /** Chunks with their bytes; at most `mostWaitingChunks` and `mostWaitingBytes`. */
  readonly #waiting: { chunk: Json; bytes: number }[] = [];
  #waitingBytes = 0;
  /** Calls of `next` that wait for a chunk; a `for await` has at most one. */
  readonly #takers: ((step: Step) => void)[] = [];
  /** Taken, and not told to the plugin yet. */
  #owed: Credit = { chunks: 0, bytes: 0 };
  #ended = false;
  #received = 0;
  #timer: Timer | null = null;
  /** When the plugin has been silent for too long. */
  #dueMs = 0;

  constructor(ports: IntakePorts) {
    this.#ports = ports;
    this.#listen();
  }

  /** Chunks that have come. */
  get received(): number {
    return this.#received;
  }

  /** One chunk came, in a message of `bytes`. */
  push(chunk: Json, bytes: number): void {
    if (this.#ended) return;
    if (this.#waiting.length >= mostWaitingChunks || this.#waitingBytes + bytes > mostWaitingBytes) {
      const [chunks, waiting] = [this.#waiting.length, this.#waitingBytes];
      const text = `it streams without credit: ${chunks} chunks of ${waiting} bytes wait, and one of ${bytes} came`;
      const most = `at most ${mostWaitingChunks} chunks and ${mostWaitingBytes} bytes may wait`;
      this.#ports.giveUp(failed("protocol", `${text}; ${most}`));
      return;
    }
    this.#received++;
    this.#listen();
    const taker = this.#takers.shift();
    if (!taker) {
      this.#waiting.push({ chunk, bytes });
      this.#waitingBytes += bytes;
      return;
    }
    this.#pay(bytes);
    taker({ done: false, value: chunk });
  }

  /** Nothing more comes; null when all of it did. What waits can still be taken, unless the consumer cancelled. */
  end(failure: CallFailure | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    if (failure?.kind === "cancelled") this.#forget();
    this.#done.resolve(failure);
    for (const taker of this.#takers.splice(0)) taker(over);
  }

  cancel(): void {
    this.#forget();
    if (!this.#ended) this.#ports.giveUp(failed("cancelled", "the caller went away"));
  }

  [Symbol.asyncIterator](): AsyncIterator<Json, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.cancel();
        return over;
      },
    };
  }

  #next(): Promise<Step> {
    const first = this.#waiting.shift();
    if (first) {
      this.#waitingBytes -= first.bytes;
      if (this.#waiting.length === 0 && !this.#ended) this.#listen();
      this.#pay(first.bytes);
      return Promise.resolve({ done: false, value: first.chunk });
    }
    if (this.#ended) return Promise.resolve(over);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  #forget(): void {
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }

  #pay(bytes: number): void {
    if (this.#ended) return;
    this.#owed.chunks++;
    this.#owed.bytes += bytes;
    // What cannot be told now is told with the next chunk that is taken.
    if (worthGranting(this.#owed) && this.#ports.grant(this.#owed)) this.#owed = { chunks: 0, bytes: 0 };
  }

  /** From now on the plugin may be silent for `idleMs`. The timer is set again only when it fires, not at every chunk. */
  #listen(): void {
    this.#dueMs = this.#ports.clock.monotonicMs() + this.#ports.idleMs;
    this.#timer ??= this.#arm(this.#ports.idleMs);
  }

  #arm(delayMs: number): Timer {
    return this.#ports.clock.after(delayMs, () => {
      this.#timer = null;
      // The plugin may be out of credit: it is the consumer's turn, and taking the last chunk listens again.
      if (this.#waiting.length > 0) return;
      const leftMs = this.#dueMs - this.#ports.clock.monotonicMs();
      if (leftMs > 0) this.#timer = this.#arm(leftMs);
      else
        this.#ports.giveUp(failed("timeout", `no further chunk within ${Math.round(this.#ports.idleMs)} ms`));
    });
  }
}
