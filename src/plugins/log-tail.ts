/** The last lines that each plugin wrote, kept over its restarts, and told to those who follow them. */

import type { EventMap } from "../events/events.ts";

/** One line of a plugin's output. */
export interface LogLine {
  /** 1 for the plugin's first line since conductor started, then one more for each. */
  seq: number;
  atMs: number;
  stream: EventMap["plugin.log"]["stream"];
  line: string;
}

export interface LogReading {
  /** Oldest first. */
  logs: LogLine[];
  /** Lines that were asked for and are not kept any more. */
  dropped: number;
}

/** Lines and bytes kept of one plugin; the oldest go first. */
export const mostLines = 1_000;
const mostBytes = 256 * 1024;
/** Plugins of which lines are kept; the one that has been silent for longest goes first. */
const mostPlugins = 1_000;
/** Bytes kept of all; the lines of those that have been silent for longest go first. */
const mostBytesOfAll = 16 * 2 ** 20;
/** What a line costs beside its text. */
const overheadBytes = 64;

interface Tail {
  lines: LogLine[];
  bytes: number;
  newestSeq: number;
}

/** Bytes that a kept line costs. */
export const costOf = ({ line }: LogLine): number => Buffer.byteLength(line) + overheadBytes;

export class LogTail {
  /** In the order of their last line. */
  readonly #tails = new Map<string, Tail>();
  readonly #followers = new Map<string, Set<(line: LogLine) => void>>();
  #bytes = 0;

  add({ plugin, stream, line }: EventMap["plugin.log"], atMs: number): void {
    const tail = this.#tails.get(plugin) ?? { lines: [], bytes: 0, newestSeq: 0 };
    const kept: LogLine = { seq: ++tail.newestSeq, atMs, stream, line };
    this.#tails.delete(plugin);
    this.#tails.set(plugin, tail);
    tail.lines.push(kept);
    tail.bytes += costOf(kept);
    this.#bytes += costOf(kept);
    while (tail.lines.length > mostLines || tail.bytes > mostBytes) this.#letGo(tail);
    this.#makeRoom();
    for (const follower of this.#followers.get(plugin) ?? []) follower(kept);
  }

  #letGo(tail: Tail): void {
    const oldest = tail.lines.shift();
    if (!oldest) return;
    tail.bytes -= costOf(oldest);
    this.#bytes -= costOf(oldest);
  }

  #makeRoom(): void {
    if (this.#tails.size <= mostPlugins && this.#bytes <= mostBytesOfAll) return;
    for (const [plugin, tail] of this.#tails) {
      while (tail.lines.length > 0 && (this.#bytes > mostBytesOfAll || this.#tails.size > mostPlugins))
        this.#letGo(tail);
      if (this.#tails.size > mostPlugins) this.#tails.delete(plugin);
      if (this.#bytes <= mostBytesOfAll) return;
    }
  }

  /**
   * Without `after` the newest `lines` of a plugin; with it the oldest `lines` that follow line number `after`. A number
   * that no line has reached yet is from before conductor started: then all of them follow.
   */
  read(plugin: string, { lines, after }: { lines: number; after?: number | undefined }): LogReading {
    const tail = this.#tails.get(plugin);
    if (!tail) return { logs: [], dropped: 0 };
    const gone = tail.newestSeq - tail.lines.length;
    if (after === undefined)
      return {
        logs: lines === 0 ? [] : tail.lines.slice(-lines),
        dropped: lines > tail.lines.length ? gone : 0,
      };
    const from = after > tail.newestSeq ? 0 : after;
    return {
      logs: tail.lines.slice(Math.max(0, from - gone), Math.max(0, from - gone) + lines),
      dropped: Math.max(0, gone - from),
    };
  }

  /** Calls `follower` with each line that the plugin writes from now on, until the returned function is called. */
  follow(plugin: string, follower: (line: LogLine) => void): () => void {
    const followers = this.#followers.get(plugin) ?? new Set();
    this.#followers.set(plugin, followers.add(follower));
    return () => {
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(plugin) === followers) this.#followers.delete(plugin);
    };
  }
}
