/** The event bus. Observers only: a throwing or slow one is reported and never reaches the publisher. */

import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { EventQueue } from "./event-queue.ts";
import type { ConductorEvent, EventMap, EventName } from "./events.ts";
import { type Wanted, wanted } from "./pattern.ts";

export type Unsubscribe = () => void;

/** What a part needs to announce something. */
export interface Publisher {
  publish<Name extends EventName>(name: Name, data: EventMap[Name]): void;
}

interface Subscription {
  wants: Wanted;
  take: (event: ConductorEvent) => unknown;
  /** It failed before: said once, since what fails for one event mostly fails for all. */
  failed: boolean;
}

export interface QueuedSubscription {
  /** Events that wait, without the one that is being taken. */
  length(): number;
  /** Takes no more events; what waits is still handed over. */
  end(): void;
  /** Resolves when nothing waits and nothing is being taken. */
  idle(): Promise<void>;
}

/** A subscriber that takes its time, or waits for something. */
export interface QueuedSubscriber {
  /** In the log, when it loses events or fails. */
  name: string;
  patterns: readonly string[];
  /** Events that wait for it; default 1,000. Over that the oldest are dropped. */
  most?: number;
  /** Called for one event at a time, in order. `dropped`: events that it lost since the last call. */
  take(event: ConductorEvent, dropped: number): void | Promise<void>;
  /** Told of each event that it lost. */
  dropped?(event: ConductorEvent): void;
}

/** Events published while one is delivered; more of them is a circle of subscribers that answer each other. */
const mostQueued = 1_000;

const everything: Wanted = () => true;

/**
 * Delivers events in the order of publication, to each subscriber in the order of subscription. An event that is
 * published while another one is delivered comes after it, for everyone.
 */
export class EventBus implements Publisher {
  /** Of this run of conductor; the first part of each event's id. */
  readonly run: string;
  readonly #subscriptions = new Set<Subscription>();
  readonly #queue: ConductorEvent[] = [];
  readonly #clock: Clock;
  readonly #log: Log;
  #delivering = false;
  #seq = 0;

  /** `run`: [a-z0-9], unique for this run of conductor. */
  constructor(clock: Clock, log: Log, run = crypto.randomUUID().slice(0, 8)) {
    this.#clock = clock;
    this.#log = log;
    this.run = run;
  }

  publish<Name extends EventName>(name: Name, data: EventMap[Name]): void {
    const event = { name, atMs: this.#clock.nowMs(), data, id: null } as ConductorEvent;
    if (!this.#delivering) this.#deliverAll(event);
    else if (this.#queue.length < mostQueued) this.#queue.push(event);
    else this.#log.error("events.dropped", { name, because: "its subscribers publish without end" });
  }

  /**
   * The subscriber is told from the next event on, before `publish` returns: it must be quick. The same one may subscribe
   * more than once.
   */
  subscribe(subscriber: (event: ConductorEvent) => void, wants: Wanted = everything): Unsubscribe {
    const subscription: Subscription = { wants, take: subscriber, failed: false };
    this.#subscriptions.add(subscription);
    return () => this.#subscriptions.delete(subscription);
  }

  /** The subscriber is told after `publish` has returned, one event after the other, and may take its time. */
  enqueue({ name, patterns, most, take, dropped }: QueuedSubscriber): QueuedSubscription {
    let [losing, failing] = [false, false];
    const queue = new EventQueue<ConductorEvent>({
      ...(most === undefined ? {} : { most }),
      take: (event, lost) => {
        losing &&= queue.length > 0;
        return take(event, lost);
      },
      failed: (error) => {
        if (!failing) this.#log.error("events.subscriber_failed", { subscriber: name, error });
        failing = true;
      },
      dropped: (event) => {
        if (!losing) this.#log.warn("events.dropped", { subscriber: name, because: "it does not keep up" });
        losing = true;
        dropped?.(event);
      },
    });
    const unsubscribe = this.subscribe((event) => queue.push(event), wanted(patterns));
    return { length: () => queue.length, end: unsubscribe, idle: () => queue.idle() };
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
    if (event.name !== "plugin.log") event.id = `${this.run}-${++this.#seq}`;
    for (const subscription of [...this.#subscriptions]) {
      if (!this.#subscriptions.has(subscription) || !subscription.wants(event.name)) continue;
      try {
        const result = subscription.take(event);
        if (result instanceof Promise)
          result.catch((error: unknown) => this.#failed(subscription, event, error));
      } catch (error) {
        this.#failed(subscription, event, error);
      }
    }
  }

  #failed(subscription: Subscription, { name }: ConductorEvent, error: unknown): void {
    if (subscription.failed) return;
    subscription.failed = true;
    this.#log.error("events.subscriber_failed", { name, error, repeated: "not logged again" });
  }

  /** Only the events called `name`. */
  on<Name extends EventName>(
    name: Name,
    subscriber: (data: EventMap[Name], atMs: number) => void,
  ): Unsubscribe {
    return this.subscribe(
      (event) => subscriber(event.data as EventMap[Name], event.atMs),
      (each) => each === name,
    );
  }
}
