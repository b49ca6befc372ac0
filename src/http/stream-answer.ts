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
 */

import type { Context } from "hono";
import type { Clock } from "../clock.ts";
import type { Answered, Outcome, Refused, RoutedStream } from "../routing/outcome.ts";
import type { Json } from "../sdk/plugin.ts";
import { type BodySource, pulledBody } from "./pulled-body.ts";

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
  const source = new AnswerSource(stream, form, problemOf);
  const body = pulledBody(context, clock, head, source);
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

/** Chunks of a plugin, and how they ended. */
class AnswerSource implements BodySource {
  readonly #iterator: AsyncIterator<Json>;
  #chunks = 0;
  #ended = false;

  constructor(
    readonly stream: RoutedStream,
    readonly form: Form,
    readonly problemOf: ProblemOf,
  ) {
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  async next(): Promise<Uint8Array | null> {
    if (this.#ended) return null;
    const step = await this.#iterator.next();
    if (!step.done) {
      this.#chunks++;
      return Buffer.from(this.form.chunk(step.value));
    }
    this.#ended = true;
    return Buffer.from(this.#end(await this.stream.done));
  }

  cancel(): void {
    this.stream.cancel();
  }

  #end(outcome: Outcome): string {
    if (outcome.kind === "refused") return this.form.error(this.problemOf(outcome));
    return this.form.done({ durationMs: outcome.durationMs, chunks: this.#chunks });
  }
}
