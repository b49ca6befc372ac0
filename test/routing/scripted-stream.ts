import type { AnswerStream, DispatchFailure } from "../../src/routing/dispatcher.ts";
import type { Json } from "../../src/sdk/plugin.ts";

/** An answer in chunks that a test pushes and ends by hand. */
export class ScriptedStream implements AnswerStream {
  readonly #done = Promise.withResolvers<DispatchFailure | null>();
  readonly done: Promise<DispatchFailure | null> = this.#done.promise;
  readonly #chunks: Json[] = [];
  #over = false;
  #wake: () => void = () => undefined;
  cancelled = false;

  push(...chunks: Json[]): this {
    this.#chunks.push(...chunks);
    this.#wake();
    return this;
  }

  end(failure: DispatchFailure | null = null): this {
    this.#over = true;
    this.#done.resolve(failure);
    this.#wake();
    return this;
  }

  cancel(): void {
    this.cancelled = true;
    this.#chunks.length = 0;
    this.end({ ok: false, kind: "cancelled", message: "cancelled" });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Json, undefined> {
    for (;;) {
      const first = this.#chunks.shift();
      if (first !== undefined) yield first;
      else if (this.#over) return;
      else
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
    }
  }
}
