/** Clients that follow something as server-sent events: bounded in number, in what waits for each, and in time. */

import type { Context } from "hono";
import type { Clock, Timer } from "../clock.ts";
import { problem } from "./problem.ts";

/** Clients of one kind at a time. */
export const mostFollowers = 64;
/** Items and bytes that wait for one client; the oldest are dropped, and the client is told how many. */
const mostWaiting = 1_000;
const mostWaitingBytes = 512 * 1024;
/** A client that takes nothing of what waits for it for so long is dropped. */
const writeTimeoutMs = 15_000;
/** While nothing happens a comment is sent so often: under the server's own limit for idle connections. */
const heartbeatMs = 10_000;

/** What is followed. */
export interface Feed<Item> {
  /** Sent first; at most so many as the feed itself keeps. */
  kept: readonly Item[];
  /** Items before those that are lost. */
  dropped: number;
  /** `dropped` does not tell all that is lost: the client comes from an earlier run of conductor. */
  restarted?: boolean;
  /** Calls `take` with each further item until the returned function is called. */
  follow(take: (item: Item) => void): () => void;
  /** Bytes that an item costs while it waits. */
  costOf(item: Item): number;
  /** An item as a server-sent event, with the empty line at its end. */
  text(item: Item): string;
}

/** What a client is told of what it will never see. */
const droppedEvent = (dropped: number, restarted: boolean): string =>
  `event: dropped\ndata: ${JSON.stringify({ dropped, ...(restarted ? { restarted } : {}) })}\n\n`;

/** One client. The stream's `pull` is the only place that writes, so a client that does not read holds up nothing. */
class Follower<Item> {
  readonly body: ReadableStream<Uint8Array>;
  readonly #clock: Clock;
  readonly #feed: Feed<Item>;
  readonly #unfollow: () => void;
  readonly #ports: { ended(): void; dropped(): void };
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #waiting: Item[];
  #waitingBytes = 0;
  #dropped: number;
  #restarted: boolean;
  /** Resolves the pull that waits for an item. */
  #wake: (() => void) | null = null;
  #timer: Timer | null = null;
  #ended = false;

  constructor(clock: Clock, feed: Feed<Item>, ports: { ended(): void; dropped(): void }) {
    this.#clock = clock;
    this.#feed = feed;
    this.#ports = ports;
    this.#waiting = [...feed.kept];
    this.#waitingBytes = this.#waiting.reduce((sum, item) => sum + feed.costOf(item), 0);
    this.#dropped = feed.dropped;
    this.#restarted = feed.restarted ?? false;
    this.#unfollow = feed.follow((item) => this.#add(item));
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

  #add(item: Item): void {
    this.#waiting.push(item);
    this.#waitingBytes += this.#feed.costOf(item);
    while (this.#waiting.length > mostWaiting || this.#waitingBytes > mostWaitingBytes) {
      const oldest = this.#waiting.shift();
      if (!oldest) break;
      this.#waitingBytes -= this.#feed.costOf(oldest);
      this.#dropped++;
      this.#ports.dropped();
    }
    this.#wake?.();
  }

  /** Nobody waits for an item now: what was written last has to be taken in time. */
  #expectPull(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(writeTimeoutMs, () => this.end());
  }

  get #nothingToTell(): boolean {
    return this.#waiting.length === 0 && this.#dropped === 0 && !this.#restarted;
  }

  async #pull(): Promise<void> {
    this.#timer?.cancel();
    if (this.#nothingToTell) await this.#nextItem();
    if (this.#ended) return;
    const lost = this.#dropped > 0 || this.#restarted ? droppedEvent(this.#dropped, this.#restarted) : "";
    const text = lost + this.#waiting.map((item) => this.#feed.text(item)).join("");
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#dropped = 0;
    this.#restarted = false;
    this.#controller?.enqueue(Buffer.from(text || ": still here\n\n"));
    this.#expectPull();
  }

  /** Until there is an item, or it is time to show that the connection still stands. */
  async #nextItem(): Promise<void> {
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    this.#timer = this.#clock.after(heartbeatMs, woken.resolve);
    await woken.promise;
    this.#wake = null;
    this.#timer.cancel();
  }

  /** Ends the stream and lets go of the feed; harmless when it has ended. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#unfollow();
    this.#waiting = [];
    this.#wake?.();
    this.#ports.ended();
    try {
      this.#controller?.close();
    } catch {
      return; // The client closed it first.
    }
  }
}

export class Followers<Item> {
  readonly #followers = new Set<Follower<Item>>();

  /** `what` is followed, as in "Too many clients follow a log already"; `onDrop` counts what a slow client lost. */
  constructor(
    readonly clock: Clock,
    readonly what: string,
    readonly onDrop: () => void = () => undefined,
  ) {}

  /** The events of one more client, or that there are too many. */
  answer(context: Context, feed: () => Feed<Item>): Response {
    if (this.#followers.size >= mostFollowers) return this.#tooMany(context);
    const follower: Follower<Item> = new Follower(this.clock, feed(), {
      ended: () => this.#followers.delete(follower),
      dropped: this.onDrop,
    });
    this.#followers.add(follower);
    context.req.raw.signal.addEventListener("abort", () => follower.end(), { once: true });
    return new Response(follower.body, {
      headers: {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
      },
    });
  }

  #tooMany(context: Context): Response {
    return problem(context, {
      status: 503,
      code: "too_many_followers",
      title: `Too many clients follow ${this.what} already`,
      detail: `expected at most ${mostFollowers} at a time; end one, or try again later`,
      retryAfterSeconds: 10,
      more: { blocked_by: "followers" },
    });
  }
}
