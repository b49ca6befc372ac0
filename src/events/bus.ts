/** The event bus. Observers only: a throwing one is reported and never reaches the publisher. */

import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { ConductorEvent, EventMap, EventName } from "./events.ts";

export type Unsubscribe = () => void;

/** What a part needs to announce something. */
export interface Publisher {
  publish<Name extends EventName>(name: Name, data: EventMap[Name]): void;
}

/** Delivers events in the order of publication, to each subscriber in the order of subscription. */
export class EventBus implements Publisher {
  readonly #subscribers = new Set<(event: ConductorEvent) => void>();
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  publish<Name extends EventName>(name: Name, data: EventMap[Name]): void {
    const event = { name, atMs: this.#clock.nowMs(), data } as ConductorEvent;
    for (const subscriber of this.#subscribers) {
      try {
        subscriber(event);
      } catch (error) {
        this.#log.error("events.subscriber_failed", { name, error });
      }
    }
  }

  subscribe(subscriber: (event: ConductorEvent) => void): Unsubscribe {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
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
