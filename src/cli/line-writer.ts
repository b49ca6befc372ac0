/** Lines to a file descriptor whose reader may stop reading: writing never holds up the program. */

import { write } from "node:fs";
import { type Clock, sleep } from "../clock.ts";

/** Bytes that wait for the reader; lines beyond that are dropped and counted. */
const mostWaitingBytes = 1024 * 1024;
/** Bytes handed over at once. */
const batchBytes = 64 * 1024;
/** A terminal or pipe that another program made non-blocking is tried again after this time. */
const retryMs = 10;

const writeSome = (fd: number, bytes: Buffer): Promise<number> =>
  new Promise((resolve, reject) =>
    write(fd, bytes, 0, bytes.length, null, (error, written) => (error ? reject(error) : resolve(written))),
  );

/**
 * Writes in the order of the calls. A synchronous write to a full pipe (a stopped pager, a stalled log daemon) would
 * stop every loop of the program for as long as its reader likes.
 */
export class LineWriter {
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #draining: Promise<void> | null = null;
  #droppedLines = 0;

  /** `onDropped` is called with the count once there is room again. */
  constructor(
    readonly fd: number,
    readonly clock: Clock,
    readonly onDropped: (lines: number) => void,
  ) {}

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#waitingBytes + bytes.length > mostWaitingBytes) {
      this.#droppedLines++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = null;
    });
  }

  /** Resolves when all is written, after `timeoutMs` at the latest. */
  async flush(timeoutMs: number): Promise<void> {
    if (this.#draining) await Promise.race([this.#draining, sleep(this.clock, timeoutMs)]);
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#writeAll(this.#nextBatch());
      if (this.#droppedLines > 0 && this.#waitingBytes < mostWaitingBytes / 2) {
        const lines = this.#droppedLines;
        this.#droppedLines = 0;
        this.onDropped(lines);
      }
    }
  }

  #nextBatch(): Buffer {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && (count === 0 || bytes < batchBytes))
      bytes += this.#waiting[count++]?.length ?? 0;
    const batch = Buffer.concat(this.#waiting.splice(0, count));
    this.#waitingBytes -= batch.length;
    return batch;
  }

  async #writeAll(batch: Buffer): Promise<void> {
    for (let from = 0; from < batch.length; ) {
      try {
        from += await writeSome(this.fd, batch.subarray(from));
      } catch (error) {
        // The reader is gone for good (EPIPE), or there never was one (EBADF): nobody misses the lines.
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
        await sleep(this.clock, retryMs);
      }
    }
  }
}
