/**
 * An answer in chunks as a response, in one of two forms:
 *
 *   application/x-ndjson   {"requestId", "platform", "plugin", "degraded", …}     the head, a line
 *                          {"chunk": …}                                           a line each
 *                          {"done": true, "durationMs", "chunks"}                 the last line, when all of it came,
 *                          {"error": {a problem document}}                        or when it did not
 *   text/event-stream      the same as events: start, chunk (the data is the chunk alone), done, error
 *
 * The response is 200 in any case: it began before anyone could know how it ends.
 *
 * The next chunk is taken from the plugin when the connection has taken what was written, so a slow client slows the plugin
 * and not the conductor. A client that takes nothing for `writeTimeoutSeconds` is cut off, as is one that went away: the
 * plugin hears of both.
 */

import type { Context } from "hono";
import type { Clock, Timer } from "../clock.ts";
import type { Answered, Outcome, Refused, RoutedStream } from "../routing/outcome.ts";
import type { Json } from "../sdk/plugin.ts";

/** Seconds within which a client must take the next piece of what was written; the runtime is up to 4 s late. */
export const writeTimeoutSeconds = 30;
/**
 * When nothing asked for a piece for so long, the stream is given up whatever the runtime says: it may not tell that a client
 * left before the response began.
 */
const giveUpMs = (writeTimeoutSeconds + 10) * 1_000;
/** Written at once, so that a slow client shows progress within the write timeout. */
const pieceBytes = 64 * 1024;

type ProblemOf = (refused: Refused) => object;

interface Form {
  contentType: string;
  head(value: object): string;
  chunk(value: Json): string;
  done(value: object): string;
  error(value: object): string;
}

const line = (value: object): string => `${JSON.stringify(value)}\n`;
const event = (name: string, value: Json | object): string =>
  `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;

const lines: Form = {
  contentType: "application/x-ndjson",
  head: line,
  chunk: (chunk) => line({ chunk }),
  done: (value) => line({ done: true, ...value }),
  error: (error) => line({ error }),
};

const events: Form = {
  contentType: "text/event-stream",
  head: (value) => event("start", value),
  chunk: (value) => event("chunk", value),
  done: (value) => event("done", value),
  error: (value) => event("error", value),
};

/** What of the server is used here; absent when the app is called without one. */
interface Server {
  timeout(request: Request, seconds: number): void;
}

/** The response whose body is `stream`. */
export function streamAnswer(
  context: Context,
  clock: Clock,
  { requestId, platform, rule, plugin, degraded, fallbackFor, reason }: Answered,
  stream: RoutedStream,
  problemOf: ProblemOf,
): Response {
  const accepted = context.req.header("accept") ?? "";
  const form = /(^|,)\s*text\/event-stream\s*(;|,|$)/i.test(accepted) ? events : lines;
  const standIn = degraded ? { fallbackFor, reason } : {};
  const ruled = rule === undefined ? {} : { rule };
  const head = form.head({ requestId, platform, ...ruled, plugin, degraded, ...standIn });
  const server = context.env as Partial<Server> | undefined;
  const limit = (seconds: number) => server?.timeout?.(context.req.raw, seconds);
  const body = new ReadableStream(new Pump({ stream, form, head, problemOf, limit, clock }), {
    highWaterMark: 0,
  });
  return new Response(body, {
    headers: {
      "Content-Type": form.contentType,
      "Cache-Control": "no-store",
      "X-Request-Id": requestId,
      // Else nginx would hold the chunks back.
      "X-Accel-Buffering": "no",
    },
  });
}

interface PumpParts {
  stream: RoutedStream;
  form: Form;
  head: string;
  problemOf: ProblemOf;
  /** Sets the connection's time limit; 0: none. */
  limit(seconds: number): void;
  clock: Clock;
}

/** The body's source: asked for one piece at a time, whenever the connection has taken the last one. */
class Pump {
  readonly #parts: PumpParts;
  readonly #iterator: AsyncIterator<Json>;
  /** What is still to be written of the head, a chunk or the end. */
  #rest: Uint8Array;
  #chunks = 0;
  /** plugin: its next chunk is waited for. client: it has to take what was written. over: nothing is taken any more. */
  #turn: "plugin" | "client" | "over" = "client";
  #last = false;
  #clientSinceMs: number;
  #timer: Timer;

  constructor(parts: PumpParts) {
    this.#parts = parts;
    this.#iterator = parts.stream[Symbol.asyncIterator]();
    this.#rest = Buffer.from(parts.head);
    this.#clientSinceMs = parts.clock.monotonicMs();
    this.#timer = this.#watch(giveUpMs);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#rest.length === 0 && !this.#last) this.#rest = await this.#next();
    if (this.#turn === "over") return;
    this.#clientSinceMs = this.#parts.clock.monotonicMs();
    this.#turn = "client";
    this.#parts.limit(writeTimeoutSeconds);
    if (this.#rest.length === 0) {
      this.#stop();
      controller.close();
      return;
    }
    controller.enqueue(this.#rest.subarray(0, pieceBytes));
    this.#rest = this.#rest.subarray(pieceBytes);
  }

  cancel(): void {
    this.#stop();
    this.#parts.stream.cancel();
  }

  #stop(): void {
    this.#turn = "over";
    this.#timer.cancel();
  }

  /** The plugin has its own time limits, so the connection has none. */
  async #next(): Promise<Uint8Array> {
    const { stream, form, limit } = this.#parts;
    this.#turn = "plugin";
    limit(0);
    const step = await this.#iterator.next();
    if (!step.done) {
      this.#chunks++;
      return Buffer.from(form.chunk(step.value));
    }
    this.#last = true;
    return Buffer.from(this.#end(await stream.done));
  }

  #end(outcome: Outcome): string {
    const { form, problemOf } = this.#parts;
    if (outcome.kind === "refused") return form.error(problemOf(outcome));
    return form.done({ durationMs: outcome.durationMs, chunks: this.#chunks });
  }

  /** One timer that looks now and then, instead of one for every piece. */
  #watch(delayMs: number): Timer {
    const { clock } = this.#parts;
    return clock.after(delayMs, () => {
      const leftMs =
        this.#turn === "client" ? this.#clientSinceMs + giveUpMs - clock.monotonicMs() : giveUpMs;
      if (leftMs > 0) this.#timer = this.#watch(leftMs);
      else this.cancel();
    });
  }
}
