/** Text from a callback to an iteration. What is not taken yet is one text: bounded by the tokens that were asked for. */

export class TextFlow implements AsyncIterable<string> {
  #waiting = "";
  #ended = false;
  #wake: (() => void) | null = null;

  push(text: string): void {
    this.#waiting += text;
    this.#wake?.();
  }

  /** No more will come. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void> {
    for (;;) {
      if (this.#waiting !== "") {
        const text = this.#waiting;
        this.#waiting = "";
        yield text;
      } else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
