/** Clients that follow a plugin's log as server-sent events: bounded in number, in what waits for each, and in time. */

import type { Clock, Timer } from "../clock.ts";
import { costOf, type LogLine, type LogTail } from "../plugins/log-tail.ts";
import { isoTime } from "./services.ts";

/** Clients at a time, over all plugins. */
export const mostFollowers = 64;
/** Lines and bytes that wait for one client; the oldest are dropped, and the client is told how many. */
const mostWaiting = 1_000;
const mostWaitingBytes = 512 * 1024;
/** A client that takes nothing of what waits for it for so long is dropped. */
const writeTimeoutMs = 15_000;
/** A silent log sends a comment so often: under the server's own limit for idle connections. */
const heartbeatMs = 10_000;

/** A line as both forms of the log show it. */
export const shownLine = ({ seq, atMs, stream, line }: LogLine) => ({ seq, at: isoTime(atMs), stream, line });

const logEvent = (line: LogLine): string =>
  `event: log\nid: ${line.seq}\ndata: ${JSON.stringify(shownLine(line))}\n\n`;
const droppedEvent = (dropped: number): string => `event: dropped\ndata: ${JSON.stringify({ dropped })}\n\n`;

/** One client. The stream's `pull` is the only place that writes, so a client that does not read holds up nothing. */
class Follower {
  readonly body: ReadableStream<Uint8Array>;
  readonly #clock: Clock;
  readonly #unfollow: () => void;
  readonly #onEnd: () => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #waiting: LogLine[];
  #waitingBytes = 0;
  #dropped: number;
  /** Resolves the pull that waits for a line. */
  #wake: (() => void) | null = null;
  #timer: Timer | null = null;
  #ended = false;

  constructor(clock: Clock, tail: LogTail, plugin: string, from: From, onEnd: () => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
    const { logs, dropped } = tail.read(plugin, from);
    this.#waiting = logs;
    this.#waitingBytes = logs.reduce((sum, line) => sum + costOf(line), 0);
    this.#dropped = dropped;
    this.#unfollow = tail.follow(plugin, (line) => this.#add(line));
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          // Something at once: the client then knows that it is connected.
          controller.enqueue(Buffer.from(": following\n\n"));
        },
        pull: () => this.#pull(),
        cancel: () => this.end(),
      },
      { highWaterMark: 1 },
    );
    this.#expectPull();
  }

  #add(line: LogLine): void {
    this.#waiting.push(line);
    this.#waitingBytes += costOf(line);
    while (this.#waiting.length > mostWaiting || this.#waitingBytes > mostWaitingBytes) {
      const oldest = this.#waiting.shift();
      if (!oldest) break;
      this.#waitingBytes -= costOf(oldest);
      this.#dropped++;
    }
    this.#wake?.();
  }

  /** Nobody waits for a line now: what was written last has to be taken in time. */
  #expectPull(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(writeTimeoutMs, () => this.end());
  }

  async #pull(): Promise<void> {
    this.#timer?.cancel();
    if (this.#waiting.length === 0 && this.#dropped === 0) await this.#nextLine();
    if (this.#ended) return;
    const lost = this.#dropped > 0 ? droppedEvent(this.#dropped) : "";
    const text = lost + this.#waiting.map(logEvent).join("");
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#dropped = 0;
    this.#controller?.enqueue(Buffer.from(text || ": still here\n\n"));
    this.#expectPull();
  }

  /** Until there is a line, or it is time to show that the connection still stands. */
  async #nextLine(): Promise<void> {
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    this.#timer = this.#clock.after(heartbeatMs, woken.resolve);
    await woken.promise;
    this.#wake = null;
    this.#timer.cancel();
  }

  /** Ends the stream and lets go of the log; harmless when it has ended. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#unfollow();
    this.#wake?.();
    this.#onEnd();
    try {
      this.#controller?.close();
    } catch {
      return; // The client closed it first.
    }
  }
}

/** Where a client begins to read. */
export interface From {
  lines: number;
  after?: number | undefined;
}

export class LogFollowers {
  readonly #followers = new Set<Follower>();

  constructor(
    readonly clock: Clock,
    readonly tail: LogTail,
  ) {}

  /** The events of one more client; null when there are too many. */
  open(plugin: string, from: From, signal: AbortSignal): ReadableStream<Uint8Array> | null {
    if (this.#followers.size >= mostFollowers) return null;
    const follower: Follower = new Follower(this.clock, this.tail, plugin, from, () =>
      this.#followers.delete(follower),
    );
    this.#followers.add(follower);
    signal.addEventListener("abort", () => follower.end(), { once: true });
    return follower.body;
  }
}
