/** A plugin's stdout and stderr as log lines: cut, limited in rate, counted. */

import type { Clock } from "../clock.ts";
import { LineSplitter } from "./line-splitter.ts";

/** Longest line that is kept; the rest of it is dropped. */
export const longestLogBytes = 8 * 1024;

/** A burst that is passed on at once, in seconds of the rate. What is over it is dropped and counted. */
const burstSeconds = 4;
/** Once the budget is used up, so much of it must be back before lines are looked at again. */
const reopenSeconds = 1 / 4;
/** A line costs at least this much of the budget. */
const leastCostBytes = 64;

export interface LogCounters {
  lines: number;
  /** Bytes of cut lines and of lines over the rate. */
  droppedBytes: number;
}

/** Passes lines of one stream to `emit`; memory and rate are bounded whatever comes. */
export class LogLines {
  readonly counters: LogCounters = { lines: 0, droppedBytes: 0 };
  readonly #splitter: LineSplitter;
  readonly #clock: Clock;
  readonly #emit: (line: string) => void;
  readonly #bytesPerSecond: number;
  #budgetBytes: number;
  #refilledMs: number;
  /** Over the rate: what comes is dropped. */
  #shut = false;
  #silencedBytes = 0;

  /** Passes on `bytesPerSecond` and a burst of four times that. */
  constructor(clock: Clock, emit: (line: string) => void, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#budgetBytes = burstSeconds * bytesPerSecond;
    this.#emit = emit;
    this.#refilledMs = clock.monotonicMs();
    this.#splitter = new LineSplitter(longestLogBytes, {
      line: (bytes) => this.#line(bytes, bytes.length),
      longLine: (head, total) => this.#line(head, total),
    });
  }

  push(chunk: Buffer): void {
    this.#refill();
    if (this.#shut) {
      // Nothing could be passed on: do not even look for the lines' ends, except the last one.
      const last = chunk.lastIndexOf(10);
      if (last >= 0) {
        this.#drop(last + 1);
        this.#splitter.push(chunk.subarray(last));
        return;
      }
    }
    this.#splitter.push(chunk);
  }

  /** The stream ended. */
  end(): void {
    this.#splitter.end();
    this.#reportSilenced();
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#budgetBytes = Math.min(
      burstSeconds * this.#bytesPerSecond,
      this.#budgetBytes + ((nowMs - this.#refilledMs) / 1_000) * this.#bytesPerSecond,
    );
    this.#refilledMs = nowMs;
    if (this.#shut && this.#budgetBytes < reopenSeconds * this.#bytesPerSecond) return;
    this.#shut = false;
    this.#reportSilenced();
  }

  #line(head: Buffer, totalBytes: number): void {
    if (this.#shut) {
      this.#drop(totalBytes);
      return;
    }
    // An empty line is not worth passing on, but a million of them must end at the limit too.
    this.#budgetBytes -= totalBytes === 0 ? 1 : Math.max(leastCostBytes, head.length);
    this.#shut = this.#budgetBytes <= 0;
    if (totalBytes === 0) return;
    this.counters.lines++;
    this.counters.droppedBytes += totalBytes - head.length;
    const text = head.toString("utf8").replace(/\r$/, "");
    this.#emit(totalBytes > head.length ? `${text}… (cut: ${totalBytes} bytes)` : text);
  }

  #drop(bytes: number): void {
    this.#silencedBytes += bytes;
    this.counters.droppedBytes += bytes;
  }

  #reportSilenced(): void {
    if (this.#silencedBytes === 0) return;
    const bytes = this.#silencedBytes;
    this.#silencedBytes = 0;
    this.#emit(`(${bytes} bytes of output dropped: more than ${this.#bytesPerSecond} bytes a second)`);
  }
}
