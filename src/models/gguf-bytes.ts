/** Reads numbers and texts of a GGUF one after the other, from a file of which only some bytes are in memory. */

import { open } from "node:fs/promises";
import { engineError, quoted } from "./failure.ts";

/** Some bytes of a file at a time. */
export interface ByteRanges {
  readonly sizeBytes: number;
  /** Up to `length` bytes from `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A file on disk. Throws what the system says. */
export async function openBytes(path: string): Promise<ByteRanges> {
  const file = await open(path, "r");
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw Object.assign(new Error(`${path} is no file`), { code: "EISDIR" });
    return {
      sizeBytes: stat.size,
      read: async (offset, length) => {
        const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, offset);
        return buffer.subarray(0, bytesRead);
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Bytes in memory, as a file would be. */
export const bytesInMemory = (bytes: Uint8Array): ByteRanges => ({
  sizeBytes: bytes.byteLength,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
  close: async () => undefined,
});

/** Read at once: the header of most models is some megabytes of vocabulary. */
const windowBytes = 256 * 1024;
/** A longer text in the header is taken for garbage; chat templates have some ten thousand bytes. */
export const mostTextBytes = 8 * 2 ** 20;

export const truncated = (what: string) =>
  engineError("model-broken", `the GGUF ends in the middle of ${quoted(what)}`, "download it again");

export const garbage = (what: string) =>
  engineError("model-broken", `no sound GGUF: ${quoted(what)}`, "download it again, or take another file");

/** A place in the file that moves on with what is read. Throws EngineError at the end of the file. */
export class GgufCursor {
  readonly #ranges: ByteRanges;
  #window: DataView = new DataView(new ArrayBuffer(0));
  /** Of the window's first byte in the file. */
  #windowOffset = 0;
  #at = 0;

  constructor(ranges: ByteRanges) {
    this.#ranges = ranges;
  }

  /** Offset in the file of what is read next. */
  get offset(): number {
    return this.#windowOffset + this.#at;
  }

  /** Bytes of the file behind `offset`. */
  get left(): number {
    return this.#ranges.sizeBytes - this.offset;
  }

  /** True when `bytes` can be read without waiting. */
  #has(bytes: number): boolean {
    return this.#at + bytes <= this.#window.byteLength;
  }

  async #need(bytes: number, what: string): Promise<void> {
    if (this.#has(bytes)) return;
    if (bytes > this.left) throw truncated(what);
    const { offset } = this;
    const chunk = await this.#ranges.read(offset, Math.max(bytes, windowBytes));
    if (chunk.byteLength < bytes) throw truncated(what);
    this.#window = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#windowOffset = offset;
    this.#at = 0;
  }

  async take<Value>(
    bytes: number,
    what: string,
    read: (window: DataView, at: number) => Value,
  ): Promise<Value> {
    if (!this.#has(bytes)) await this.#need(bytes, what);
    const value = read(this.#window, this.#at);
    this.#at += bytes;
    return value;
  }

  uint32(what: string): Promise<number> {
    return this.take(4, what, (window, at) => window.getUint32(at, true));
  }

  /** Throws EngineError for a number over 2^53: nothing in a GGUF is so large. */
  async uint64(what: string): Promise<number> {
    const value = await this.take(8, what, (window, at) => window.getBigUint64(at, true));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw garbage(`${what} is ${value}`);
    return Number(value);
  }

  async text(what: string, mostBytes = mostTextBytes): Promise<string> {
    const bytes = await this.uint64(what);
    if (bytes > mostBytes) throw garbage(`${what} has ${bytes} bytes`);
    return this.take(bytes, what, (window, at) =>
      Buffer.from(window.buffer, window.byteOffset + at, bytes).toString("utf8"),
    );
  }

  async skip(bytes: number, what: string): Promise<void> {
    if (this.#has(bytes)) {
      this.#at += bytes;
      return;
    }
    if (bytes > this.left) throw truncated(what);
    this.#windowOffset = this.offset + bytes;
    this.#window = new DataView(new ArrayBuffer(0));
    this.#at = 0;
  }

  /** Skips `count` texts, nearly always without waiting for each: a vocabulary has hundreds of thousands. */
  async skipTexts(count: number, what: string): Promise<void> {
    for (let index = 0; index < count; index++) {
      if (!this.#has(8)) await this.#need(8, what);
      const bytes = Number(this.#window.getBigUint64(this.#at, true));
      this.#at += 8;
      if (bytes > mostTextBytes) throw garbage(`${what} holds a text of ${bytes} bytes`);
      if (this.#has(bytes)) this.#at += bytes;
      else await this.skip(bytes, what);
    }
  }
}
