/** The host's end of one answer in chunks: asks the plugin's iterator for the next one only while there is credit. */

import type { Json } from "../sdk/plugin.ts";
import { type Credit, initialCredit } from "./stream-credit.ts";

/** Sends one chunk and yields the bytes of its message; throws when it cannot be sent. */
export type SendChunk = (chunk: Json) => number;

/** Whether a plugin's answer comes in chunks. */
export const isStream = (answer: unknown): answer is AsyncIterable<Json> =>
  typeof answer === "object" &&
  answer !== null &&
  typeof (answer as Partial<AsyncIterable<Json>>)[Symbol.asyncIterator] === "function";

export class StreamOutlet {
  readonly #send: SendChunk;
  readonly #signal: AbortSignal;
  #credit: Credit = { ...initialCredit };
  /** Ends the wait for credit. */
  #wake: (() => void) | null = null;
  /** Ends whatever is waited for, when the signal aborts. */
  #interrupt: ((reason: unknown) => void) | null = null;

  constructor(send: SendChunk, signal: AbortSignal) {
    this.#send = send;
    this.#signal = signal;
  }

  grant({ chunks, bytes }: Credit): void {
    this.#credit.chunks += chunks;
    this.#credit.bytes += bytes;
    if (this.#mayGoOn) this.#wake?.();
  }

  /**
   * Sends all of `chunks`; resolves with how many. Rejects with what the iterator threw, when a chunk cannot be sent, and
   * at once when the signal aborts; the iterator is then told to return.
   */
  async run(chunks: AsyncIterable<Json>): Promise<number> {
    const iterator = chunks[Symbol.asyncIterator]();
    const onAbort = () => this.#interrupt?.(this.#signal.reason);
    this.#signal.addEventListener("abort", onAbort, { once: true });
    let finished = false;
    try {
      for (let sent = 0; ; sent++) {
        if (!this.#mayGoOn) await this.#unlessAborted(new Promise<void>((wake) => (this.#wake = wake)));
        this.#signal.throwIfAborted();
        const step = await this.#unlessAborted(iterator.next());
        if (step.done) {
          finished = true;
          return sent;
        }
        this.#credit.chunks--;
        this.#credit.bytes -= this.#send(step.value);
      }
    } finally {
      this.#signal.removeEventListener("abort", onAbort);
      if (!finished) void end(iterator);
    }
  }

  get #mayGoOn(): boolean {
    return this.#credit.chunks > 0 && this.#credit.bytes > 0;
  }

  /** One slot instead of a race: a promise that is raced for every chunk would remember every one of them. */
  #unlessAborted<Value>(work: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#interrupt = reject;
      Promise.resolve(work).then(resolve, reject);
    });
  }
}

/** Tells the iterator that nobody wants more, without waiting: a generator may be in the middle of something long. */
async function end(iterator: AsyncIterator<Json>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // Nobody is left whom its clean-up's failure could be told to.
    return;
  }
}
