/** Every webhook, and the events that were given up, until they are delivered after all. */

import { type Clock, every, type Timer } from "../clock.ts";
import type { EventBus } from "../events/bus.ts";
import { type ConductorEvent, shownEvent } from "../events/events.ts";
import type { Log } from "../log.ts";
import type { LetterChange, WebhookLetters } from "../storage/webhook-letters.ts";
import type { Post } from "./post.ts";
import { Redelivery, type RedeliveryOutcome } from "./redelivery.ts";
import { Undelivered } from "./undelivered.ts";
import { type Outcome, Webhook, type WebhookSettings, type WebhookStatus } from "./webhook.ts";

/** Once the conductor ends, what waits has so long: the whole end takes at most 10 s. */
const graceMs = 150;
const sweepIntervalMs = 60_000;

export interface WebhooksOptions {
  clock: Clock;
  log: Log;
  bus: EventBus;
  post: Post;
  random(): number;
  version: string;
  letters: WebhookLetters;
  /** lost: given up, and left by the bounds before it was delivered. */
  counted(outcome: Outcome | RedeliveryOutcome | "lost", webhook: string | null, events: number): void;
}

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #webhooks = new Map<string, { webhook: Webhook; redelivery: Redelivery }>();
  readonly #undelivered: Undelivered;
  #sweeps: Timer | null = null;

  /** Posts what the bus announces from now on. */
  constructor(settings: readonly WebhookSettings[], options: WebhooksOptions) {
    this.#options = options;
    const { clock, letters } = options;
    this.#undelivered = new Undelivered({
      clock,
      letters,
      kept: (names) => {
        for (const name of names) this.#webhooks.get(name)?.redelivery.kept();
      },
      lost: (events) => {
        const { maxCount, maxBytes } = letters.limits;
        const because = `no room: at most ${maxCount} letters and ${maxBytes} bytes are kept, and fewer where the database fails`;
        this.#lost(events, because);
      },
    });
    for (const each of settings) this.#webhooks.set(each.name, this.#make(each));
  }

  #make(settings: WebhookSettings): { webhook: Webhook; redelivery: Redelivery } {
    const { clock, log, post, random, version, counted, bus, letters } = this.#options;
    const { name, backoff } = settings;
    const redelivery = new Redelivery(name, backoff, {
      clock,
      log,
      random,
      letters,
      counted: (outcome) => counted(outcome, name, 1),
      send: ({ eventId, eventName, body, attempts, redrives }, signal) =>
        webhook.attempt({ eventId, eventName, body, attempt: attempts + redrives + 1 }, signal),
    });
    const webhook = new Webhook(
      settings,
      {
        clock,
        post,
        random,
        version,
        counted: (outcome) => counted(outcome, name, 1),
        received: () => redelivery.received(),
        undelivered: (event, reason, attempts) => this.#keep(event, name, reason, attempts),
      },
      bus,
    );
    return { webhook, redelivery };
  }

  #keep(event: ConductorEvent, webhook: string, reason: string, attempts: number): void {
    const { clock, log } = this.#options;
    const { id, name } = event;
    this.#undelivered.add({
      atMs: clock.nowMs(),
      webhook,
      eventId: id ?? "",
      eventName: name,
      body: JSON.stringify(shownEvent(event)),
      reason,
      attempts,
    });
    // Of those that were never tried there may be many at once: one line tells of them, from the bus or at the end.
    if (attempts === 0) return;
    log.warn("webhook.undelivered", { webhook, reason, attempts, name, id });
    this.#undelivered.flush();
  }

  #lost(letters: number, because: string): void {
    this.#options.log.warn("webhook.letters_lost", { letters, because });
    this.#options.counted("lost", null, letters);
  }

  /** Begins to deliver what the run before left behind. */
  begin(): void {
    for (const { redelivery } of this.#webhooks.values()) redelivery.begin();
    this.#sweeps = every(this.#options.clock, sweepIntervalMs, () => this.#sweep());
    this.#sweep();
  }

  #sweep(): void {
    const { changed } = this.#options.letters.removeAged(this.#options.clock.nowMs());
    if (changed > 0) this.#lost(changed, "older than deadLetters.maxAge");
  }

  status(): WebhookStatus[] {
    return [...this.#webhooks.values()].map(({ webhook }) => webhook.status());
  }

  /**
   * Delivers letters again by hand, poison or not; null: all of them. `changed`: those that wait for it now; a letter of
   * a webhook that is not configured is not among them.
   */
  redrive(ids: readonly number[] | null): LetterChange {
    const released = this.#options.letters.release([...this.#webhooks.keys()], ids);
    for (const name of released.webhooks) this.#webhooks.get(name)?.redelivery.byHand();
    return released;
  }

  /** Delivers what can still be delivered, for a moment; the rest is kept for the next run. */
  async stop(): Promise<void> {
    this.#sweeps?.cancel();
    const undelivered = () => this.status().reduce((sum, each) => sum + each.undelivered, 0);
    const before = undelivered();
    const all = [...this.#webhooks.values()];
    await Promise.all(all.flatMap(({ webhook, redelivery }) => [webhook.stop(graceMs), redelivery.stop()]));
    this.#undelivered.end();
    const events = undelivered() - before;
    if (events > 0) this.#options.log.warn("webhooks.ended", { undelivered: events });
  }
}
