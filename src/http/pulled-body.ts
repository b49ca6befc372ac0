/**
 * A response's body that is made as the client takes it. The next piece is asked for when the connection has taken what was
 * written, so a slow client slows the source and not the conductor. A client that takes nothing for `writeTimeoutSeconds` is
 * cut off, as is one that went away: the source hears of both.
 */

import type { Context } from "hono";
import type { Clock, Timer } from "../clock.ts";

/** Seconds within which a client must take the next piece of what was written; the runtime is up to 4 s late. */
export const writeTimeoutSeconds = 30;
/**
 * When nothing asked for a piece for so long, the stream is given up whatever the runtime says: it may not tell that a client
 * left before the response began.
 */
const giveUpMs = (writeTimeoutSeconds + 10) * 1_000;
/** Written at once, so that a slow client shows progress within the write timeout. */
const pieceBytes = 64 * 1024;

export interface BodySource {
  /** What is to be written next; null: that was all. It has time limits of its own. */
  next(): Promise<Uint8Array | null>;
  /** Nothing is taken any more before the end was reached. */
  cancel(): void;
}

/** What of the server is used here; absent when the app is called without one. */
interface Server {
  timeout(request: Request, seconds: number): void;
}

/** Sets the time limit of a request's connection; 0: none. */
export function limitConnection(context: Context, seconds: number): void {
  const server = context.env as Partial<Server> | undefined;
  server?.timeout?.(context.req.raw, seconds);
}

/** The body; `head` is written first. */
export const pulledBody = (
  context: Context,
  clock: Clock,
  head: string,
  source: BodySource,
): ReadableStream<Uint8Array> =>
  new ReadableStream(new Pump(context, clock, head, source), { highWaterMark: 0 });

/** Asked for one piece at a time, whenever the connection has taken the last one. */
class Pump {
  readonly #context: Context;
  readonly #clock: Clock;
  readonly #source: BodySource;
  /** What is still to be written of the last piece. */
  #rest: Uint8Array;
  /** source: its next piece is waited for. client: it has to take what was written. over: nothing is taken any more. */
  #turn: "source" | "client" | "over" = "client";
  #clientSinceMs: number;
  #timer: Timer;

  constructor(context: Context, clock: Clock, head: string, source: BodySource) {
    this.#context = context;
    this.#clock = clock;
    this.#source = source;
    this.#rest = Buffer.from(head);
    this.#clientSinceMs = clock.monotonicMs();
    this.#timer = this.#watch(giveUpMs);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const piece = this.#rest.length === 0 ? await this.#next() : this.#rest;
    if (this.#turn === "over") return;
    this.#clientSinceMs = this.#clock.monotonicMs();
    this.#turn = "client";
    limitConnection(this.#context, writeTimeoutSeconds);
    if (piece === null) {
      this.#stop();
      controller.close();
      return;
    }
    controller.enqueue(piece.subarray(0, pieceBytes));
    this.#rest = piece.subarray(pieceBytes);
  }

  cancel(): void {
    if (this.#turn === "over") return;
    this.#stop();
    this.#source.cancel();
  }

  #stop(): void {
    this.#turn = "over";
    this.#timer.cancel();
  }

  /** The source has its own time limits, so the connection has none. */
  async #next(): Promise<Uint8Array | null> {
    this.#turn = "source";
    limitConnection(this.#context, 0);
    return this.#source.next();
  }

  /** One timer that looks now and then, instead of one for every piece. */
  #watch(delayMs: number): Timer {
    return this.#clock.after(delayMs, () => {
      const leftMs =
        this.#turn === "client" ? this.#clientSinceMs + giveUpMs - this.#clock.monotonicMs() : giveUpMs;
      if (leftMs > 0) this.#timer = this.#watch(leftMs);
      else this.cancel();
    });
  }
}
