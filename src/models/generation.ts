/** One answer as it is generated: bounded in silence and size, and with exactly one end, whatever the engine does. */

import type { Clock } from "../clock.ts";
import type { Piece } from "./driver.ts";
import type { FinishReason, Part, Usage } from "./engine.ts";
import { type EngineFailure, engineError, failureOf } from "./failure.ts";
import { Silence, type SilenceLimits } from "./silence.ts";

/** Characters of one answer: far over what a million tokens come to. */
export const mostAnswerCharacters = 16 * 2 ** 20;

/** Why a generation was stopped from outside. */
export interface StopReason {
  finishReason: "aborted" | "error";
  failure: EngineFailure | null;
}

const noUsage: Usage = { promptTokens: null, completionTokens: null };

const ended = (
  finishReason: FinishReason,
  failure: EngineFailure | null = null,
  usage: Usage = noUsage,
): Part => ({ kind: "end", finishReason, usage, failure });

/** An answer that never began. */
export const notBegun = (failure: EngineFailure): Part => ended("error", failure);

export class Generation {
  readonly #clock: Clock;
  readonly #limits: SilenceLimits;
  readonly #abort = new AbortController();
  #reason: StopReason | null = null;
  /** The step that the engine is asked for; null while the taker has its turn. */
  #step: Promise<IteratorResult<Piece>> | null = null;

  constructor(clock: Clock, limits: SilenceLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Stops it at the engine; the first reason counts. */
  stop(reason: StopReason): void {
    this.#reason ??= reason;
    this.#abort.abort();
  }

  /**
   * Resolves when the engine works on no step of it. A taker that pauses is not waited for: the engine was told to stop, and
   * the taker learns of it with its next step.
   */
  async quiet(): Promise<void> {
    await this.#step?.catch(() => undefined); // How it failed is told by its end.
  }

  /** Takes the pieces and yields the parts. When it is left early, the engine is stopped and waited for. */
  async *run(
    pieces: (signal: AbortSignal) => AsyncIterable<Piece>,
    caller: AbortSignal,
  ): AsyncGenerator<Part, void> {
    const onAbort = () => this.stop({ finishReason: "aborted", failure: null });
    if (caller.aborted) onAbort();
    else caller.addEventListener("abort", onAbort, { once: true });
    const silence = new Silence(this.#clock, this.#limits, (silentMs) => this.#silent(silentMs));
    const iterator = pieces(this.#abort.signal)[Symbol.asyncIterator]();
    try {
      let end: Part;
      try {
        end = yield* this.#texts(iterator, silence);
      } catch (error) {
        end = ended("error", failureOf(error));
      }
      silence.stop();
      yield this.#endAs(end);
    } finally {
      silence.stop();
      caller.removeEventListener("abort", onAbort);
      this.#abort.abort();
      await iterator.return?.().catch(failureOf);
    }
  }

  async *#texts(iterator: AsyncIterator<Piece>, silence: Silence): AsyncGenerator<Part, Part> {
    let characters = 0;
    for (;;) {
      silence.wait();
      this.#step = iterator.next();
      const step = await this.#step;
      this.#step = null;
      silence.heard();
      if (step.done)
        throw engineError(
          "broken-stream",
          "the answer ended before the model was done",
          "look at the engine's log, and try again",
        );
      const piece = step.value;
      if (piece.kind === "end") return ended(piece.finishReason, null, piece.usage);
      // What is on its way when it is stopped is not given out any more.
      if (piece.text === "" || this.#reason !== null) continue;
      characters += piece.text.length;
      if (characters > mostAnswerCharacters)
        throw engineError(
          "bad-answer",
          `the answer has more than ${mostAnswerCharacters} characters`,
          "look at the engine: it does not stop where it should",
        );
      yield piece;
    }
  }

  /** What it comes to: a stop from outside goes before whatever the engine made of it. */
  #endAs(end: Part): Part {
    if (this.#reason === null || end.kind !== "end") return end;
    const { finishReason, failure } = this.#reason;
    const unconfirmed = end.failure?.code === "not-acknowledged" ? end.failure : null;
    return ended(finishReason, failure ?? unconfirmed, end.usage);
  }

  #silent(silentMs: number): void {
    const { failure } = engineError(
      "timeout",
      `the engine was silent for ${silentMs} ms`,
      "give it more time, a shorter prompt or a smaller model",
    );
    this.stop({ finishReason: "error", failure });
  }
}
