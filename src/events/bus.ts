/** The event bus. Observers only: a throwing one is reported and never reaches the publisher. */

import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { ConductorEvent, EventMap, EventName } from "./events.ts";

export type Unsubscribe = () => void;

/** What a part needs to announce something. */
export interface Publisher {
  publish<Name extends EventName>(name: Name, data: EventMap[Name]): void;
}

interface Subscription {
  take: (event: ConductorEvent) => unknown;
}

/** Events published while one is delivered; more of them is a circle of subscribers that answer each other. */
const mostQueued = 1_000;

/**
 * Delivers events in the order of publication, to each subscriber in the order of subscription. An event that is
 * published while another one is delivered comes after it, for everyone.
 */
export class EventBus implements Publisher {
  readonly #subscriptions = new Set<Subscription>();
  readonly #queue: ConductorEvent[] = [];
  readonly #clock: Clock;
  readonly #log: Log;
  #delivering = false;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  publish<Name extends EventName>(name: Name, data: EventMap[Name]): void {
    const event = { name, atMs: this.#clock.nowMs(), data } as ConductorEvent;
    if (!this.#delivering) this.#deliverAll(event);
    else if (this.#queue.length < mostQueued) this.#queue.push(event);
    else this.#log.error("events.dropped", { name, because: "its subscribers publish without end" });
  }

  /** The subscriber is told from the next event on; the same one may subscribe more than once. */
  subscribe(subscriber: (event: ConductorEvent) => void): Unsubscribe {
    const subscription: Subscription = { take: subscriber };
    this.#subscriptions.add(subscription);
    return () => this.#subscriptions.delete(subscription);
  }

  #deliverAll(first: ConductorEvent): void {
    this.#delivering = true;
    try {
      let delivered = 0;
      for (let event: ConductorEvent | undefined = first; event; event = this.#queue.shift()) {
        this.#deliver(event);
        if (++delivered <= mostQueued || this.#queue.length === 0) continue;
        this.#log.error("events.dropped", {
          name: event.name,
          because: "its subscribers publish without end",
        });
        this.#queue.length = 0;
      }
    } finally {
      this.#delivering = false;
    }
  }

  #deliver(event: ConductorEvent): void {
    for (const subscription of [...this.#subscriptions]) {
      if (!this.#subscriptions.has(subscription)) continue;
      try {
        const result = subscription.take(event);
        if (result instanceof Promise) result.catch((error: unknown) => this.#failed(event, error));
      } catch (error) {
        this.#failed(event, error);
      }
    }
  }

  #failed({ name }: ConductorEvent, error: unknown): void {
    this.#log.error("events.subscriber_failed", { name, error });
  }

  /** Only the events called `name`. */
  on<Name extends EventName>(
    name: Name,
    subscriber: (data: EventMap[Name], atMs: number) => void,
  ): Unsubscribe {
    return this.subscribe((event) => {
      if (event.name === name) subscriber(event.data as EventMap[Name], event.atMs);
    });
  }
}
