/**
 * One receiver of events. They are delivered one at a time and in order:
 *
 *   waiting ──▶ attempt ──2xx──▶ delivered
 *      │        ▲    │ 5xx, 408, 425, 429, no answer
 *      │        └─ backoff ──▶ attempts used up ──▶ undelivered
 *      │             │ other answers ──────────────▶ undelivered
 *      └─ over 1,000 wait, or conductor ends ──────▶ undelivered
 *
 * What is delivered again (see redelivery.ts) takes its turn between attempts.
 */

import { type Clock, sleep } from "../clock.ts";
import type { EventBus, QueuedSubscription } from "../events/bus.ts";
import { type ConductorEvent, shownEvent } from "../events/events.ts";
import type { Post } from "./post.ts";
import { signature } from "./signature.ts";
import { backoffMs, type Verdict, verdict } from "./verdict.ts";

export interface WebhookSettings {
  name: string;
  url: string;
  events: readonly string[];
  /** The key itself; null: deliveries are not signed. */
  secret: string | null;
  timeoutMs: number;
  attempts: number;
  backoff: { initialMs: number; maxMs: number };
}

/** What came of an attempt, or of an event: dropped, there was no room; ended, conductor stopped. */
export type Outcome = "delivered" | "retried" | "refused" | "exhausted" | "dropped" | "ended";

/** One attempt: the event's id is the same in each. */
export interface Delivery {
  eventId: string;
  eventName: string;
  body: string;
  /** From 1. */
  attempt: number;
}

export interface WebhookPorts {
  clock: Clock;
  /** 0..1, for the jitter. */
  random(): number;
  post: Post;
  /** In the header User-Agent. */
  version: string;
  counted(outcome: Outcome): void;
  /** The receiver took an event. */
  received(): void;
  /** This event is given up. */
  undelivered(event: ConductorEvent, reason: string, attempts: number): void;
}

export interface WebhookStatus {
  name: string;
  /** Of the URL only this: its path and query may hold a secret. */
  origin: string;
  events: readonly string[];
  signed: boolean;
  /** Events that wait, without the one that is being delivered. */
  waiting: number;
  /** Attempts made for the one that is being delivered; 0 for none. */
  attempt: number;
  delivered: number;
  undelivered: number;
  lastDeliveredMs: number | null;
  lastFailure: { atMs: number; reason: string } | null;
}

export class Webhook {
  readonly #settings: WebhookSettings;
  readonly #ports: WebhookPorts;
  readonly #ending = new AbortController();
  readonly #subscription: QueuedSubscription;
  /** The receiver is posted to by one at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #attempt = 0;
  #delivered = 0;
  #undelivered = 0;
  #lastDeliveredMs: number | null = null;
  #lastFailure: WebhookStatus["lastFailure"] = null;

  /** Delivers what the bus announces from now on. */
  constructor(settings: WebhookSettings, ports: WebhookPorts, bus: EventBus) {
    this.#settings = settings;
    this.#ports = ports;
    this.#subscription = bus.enqueue({
      name: `webhook ${settings.name}`,
      patterns: settings.events,
      take: (event) => this.#deliver(event),
      dropped: (event) => this.#give(event, "dropped", "too many events waited", 0),
    });
  }

  async #deliver(event: ConductorEvent): Promise<void> {
    const { attempts, backoff } = this.#settings;
    const body = JSON.stringify(shownEvent(event));
    for (this.#attempt = 1; ; this.#attempt++) {
      if (this.#ending.signal.aborted)
        return this.#give(event, "ended", "conductor ended", this.#attempt - 1);
      const attempt = this.#attempt;
      const { id, name } = event;
      const judged = await this.attempt({ eventId: id ?? "", eventName: name, body, attempt });
      if (judged.kind === "delivered") return this.#succeeded();
      const { reason } = judged;
      this.#lastFailure = { atMs: this.#ports.clock.nowMs(), reason };
      if (judged.kind === "refused") return this.#give(event, "refused", reason, attempt);
      if (attempt >= attempts)
        return this.#give(event, "exhausted", `${reason}, after ${attempt} attempts`, attempt);
      this.#ports.counted("retried");
      await this.#wait(backoffMs(attempt, backoff, this.#ports.random(), judged.afterMs));
    }
  }

  async #wait(ms: number): Promise<void> {
    await sleep(this.#ports.clock, ms, this.#ending.signal).catch(() => undefined);
  }

  /** Posts once, when it is its turn. */
  attempt(delivery: Delivery, signal = this.#ending.signal): Promise<Verdict> {
    const attempt = this.#turn.then(() => this.#post(delivery, signal));
    this.#turn = attempt.catch(() => undefined);
    return attempt;
  }

  async #post({ eventId, eventName, body, attempt }: Delivery, signal: AbortSignal): Promise<Verdict> {
    const { url, secret, timeoutMs } = this.#settings;
    const { clock, post, version } = this.#ports;
    const headers: Record<string, string> = {
      "Content-Type": "application/json",
      "User-Agent": `conductor/${version}`,
      "Conductor-Event": eventName,
      "Conductor-Delivery": eventId,
      "Conductor-Attempt": String(attempt),
    };
    if (secret !== null) headers["Conductor-Signature"] = signature(secret, clock.nowMs(), body);
    return verdict(await post({ url, headers, body, timeoutMs, signal }));
  }

  #succeeded(): void {
    this.#attempt = 0;
    this.#delivered++;
    this.#lastDeliveredMs = this.#ports.clock.nowMs();
    this.#ports.counted("delivered");
    this.#ports.received();
  }

  #give(event: ConductorEvent, outcome: Outcome, reason: string, attempts: number): void {
    if (outcome !== "dropped") this.#attempt = 0;
    this.#undelivered++;
    this.#ports.counted(outcome);
    this.#ports.undelivered(event, reason, attempts);
  }

  status(): WebhookStatus {
    const { name, url, events, secret } = this.#settings;
    return {
      name,
      origin: new URL(url).origin,
      events,
      signed: secret !== null,
      waiting: this.#subscription.length(),
      attempt: this.#attempt,
      delivered: this.#delivered,
      undelivered: this.#undelivered,
      lastDeliveredMs: this.#lastDeliveredMs,
      lastFailure: this.#lastFailure,
    };
  }

  /** Takes no more events; those that wait have `graceMs`, then they are undelivered. */
  async stop(graceMs: number): Promise<void> {
    this.#subscription.end();
    const enough = new AbortController();
    const patience = sleep(this.#ports.clock, graceMs, enough.signal).catch(() => undefined);
    await Promise.race([this.#subscription.idle(), patience]);
    enough.abort();
    this.#ending.abort();
    await this.#subscription.idle();
  }
}
