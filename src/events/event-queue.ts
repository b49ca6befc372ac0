/** What waits for a subscriber that takes its time: one item after the other, at most so many. */

/** Items that wait for one subscriber, unless it says otherwise; over that the oldest are dropped. */
const mostWaiting = 1_000;

export interface QueueOptions<Item> {
  most?: number;
  /** Called for one item at a time, never by who pushes it. `dropped`: items lost since the last call. */
  take(item: Item, dropped: number): void | Promise<void>;
  /** `take` threw or rejected; the next item follows. */
  failed(error: unknown): void;
  /** There was no room for this one. */
  dropped(item: Item): void;
}

export class EventQueue<Item extends object> {
  readonly #options: QueueOptions<Item>;
  readonly #most: number;
  readonly #waiting: Item[] = [];
  #dropped = 0;
  #running = false;
  #onIdle: (() => void)[] = [];

  constructor(options: QueueOptions<Item>) {
    this.#options = options;
    this.#most = options.most ?? mostWaiting;
  }

  /** Items that wait, without the one that is being taken. */
  get length(): number {
    return this.#waiting.length;
  }

  push(item: Item): void {
    this.#waiting.push(item);
    if (this.#waiting.length > this.#most) {
      const oldest = this.#waiting.shift();
      this.#dropped++;
      if (oldest) this.#options.dropped(oldest);
    }
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    for (let item = this.#waiting.shift(); item; item = this.#waiting.shift()) {
      const dropped = this.#dropped;
      this.#dropped = 0;
      try {
        await this.#options.take(item, dropped);
      } catch (error) {
        this.#options.failed(error);
      }
    }
    this.#running = false;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Resolves when nothing waits and nothing is being taken. */
  idle(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }
}
