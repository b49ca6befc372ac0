/** Bytes to lines, with a cap on a line's length. */

export interface LineSink {
  /** One line without its end; `bytes` is only valid during the call. */
  line(bytes: Buffer): void;
  /** A line longer than the cap has ended: its first bytes up to the cap, and its whole length. */
  longLine(head: Buffer, totalBytes: number): void;
}

const newline = 10;

/** Holds at most `capBytes` of an unfinished line; what exceeds it is counted and thrown away. */
export class LineSplitter {
  readonly #held: Buffer[] = [];
  #heldBytes = 0;
  /** Length of the unfinished line, thrown away bytes included. */
  #lineBytes = 0;

  constructor(
    readonly capBytes: number,
    readonly sink: LineSink,
  ) {}

  /** Length of the unfinished line so far. */
  get unfinishedBytes(): number {
    return this.#lineBytes;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(newline, from);
      if (end < 0) break;
      this.#finish(chunk.subarray(from, end));
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
  }

  /** The stream ended: what is left is a line too. */
  end(): void {
    if (this.#lineBytes > 0) this.#finish(Buffer.alloc(0));
  }

  #finish(rest: Buffer): void {
    if (this.#lineBytes === 0 && rest.length <= this.capBytes) {
      this.sink.line(rest);
      return;
    }
    this.#keep(rest);
    const line = this.#held.length === 1 ? (this.#held[0] ?? rest) : Buffer.concat(this.#held);
    const total = this.#lineBytes;
    this.#held.length = 0;
    this.#heldBytes = 0;
    this.#lineBytes = 0;
    if (total > this.capBytes) this.sink.longLine(line, total);
    else this.sink.line(line);
  }

  #keep(part: Buffer): void {
    this.#lineBytes += part.length;
    const kept = part.subarray(0, Math.max(0, this.capBytes - this.#heldBytes));
    if (kept.length === 0) return;
    // A copy: the socket's chunk may be far larger than the part that is kept.
    this.#held.push(Buffer.from(kept));
    this.#heldBytes += kept.length;
  }
}
