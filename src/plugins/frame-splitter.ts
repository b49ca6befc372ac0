/** Bytes to frames: a length of 4 bytes, big-endian, then that many bytes. */

export interface FrameSink {
  /** One frame's content; `bytes` is only valid during the call. */
  frame(bytes: Buffer): void;
  /** A frame over the cap is passing; its content is thrown away. */
  tooLong(totalBytes: number): void;
}

const headerBytes = 4;

/** `text` as a frame. */
export function encodeFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(headerBytes + length);
  frame.writeUInt32BE(length, 0);
  frame.write(text, headerBytes, "utf8");
  return frame;
}

/** Holds at most one unfinished frame of `capBytes`. */
export class FrameSplitter {
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #content: Buffer | null = null;
  #filled = 0;
  /** Bytes of a too long frame still to throw away. */
  #skipBytes = 0;

  constructor(
    readonly capBytes: number,
    readonly sink: FrameSink,
  ) {}

  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#skipBytes > 0) {
        const skipped = Math.min(this.#skipBytes, rest.length);
        this.#skipBytes -= skipped;
        rest = rest.subarray(skipped);
      } else if (this.#content) rest = this.#fill(this.#content, rest);
      else rest = this.#readHeader(rest);
    }
  }

  #readHeader(rest: Buffer): Buffer {
    const taken = Math.min(headerBytes - this.#headerFilled, rest.length);
    rest.copy(this.#header, this.#headerFilled, 0, taken);
    this.#headerFilled += taken;
    if (this.#headerFilled < headerBytes) return rest.subarray(taken);
    this.#headerFilled = 0;
    const length = this.#header.readUInt32BE(0);
    const after = rest.subarray(taken);
    if (length > this.capBytes) {
      this.sink.tooLong(length);
      this.#skipBytes = length;
      return after;
    }
    if (after.length >= length) {
      this.sink.frame(after.subarray(0, length));
      return after.subarray(length);
    }
    this.#content = Buffer.allocUnsafe(length);
    this.#filled = 0;
    return this.#fill(this.#content, after);
  }

  #fill(content: Buffer, rest: Buffer): Buffer {
    const taken = Math.min(content.length - this.#filled, rest.length);
    rest.copy(content, this.#filled, 0, taken);
    this.#filled += taken;
    if (this.#filled === content.length) {
      this.#content = null;
      this.sink.frame(content);
    }
    return rest.subarray(taken);
  }
}
