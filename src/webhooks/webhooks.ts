/** Every webhook, and the last events that none of them could deliver. */

import type { Clock } from "../clock.ts";
import type { EventBus } from "../events/bus.ts";
import type { ConductorEvent } from "../events/events.ts";
import type { Log } from "../log.ts";
import type { Post } from "./post.ts";
import { type Outcome, Webhook, type WebhookSettings, type WebhookStatus } from "./webhook.ts";

/** Events and bytes that are kept of what could not be delivered; the oldest go first. */
const mostUndelivered = 100;
const mostUndeliveredBytes = 512 * 1024;
/** Once the conductor ends, what waits has so long: the whole end takes at most 10 s. */
const graceMs = 150;

/** An event that was given up. */
export interface Undelivered {
  atMs: number;
  webhook: string;
  reason: string;
  attempts: number;
  event: ConductorEvent;
}

export interface WebhooksOptions {
  clock: Clock;
  log: Log;
  bus: EventBus;
  post: Post;
  random(): number;
  version: string;
  counted(outcome: Outcome, webhook: string): void;
  /** Told of each event that is given up: the place to keep it for good. */
  undelivered?(event: ConductorEvent, webhook: string, reason: string): void;
}

export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #webhooks: Webhook[];
  readonly #undelivered: { kept: Undelivered; bytes: number }[] = [];
  #bytes = 0;

  constructor(settings: readonly WebhookSettings[], options: WebhooksOptions) {
    this.#options = options;
    this.#webhooks = settings.map((each) => this.#make(each));
  }

  #make(settings: WebhookSettings): Webhook {
    const { clock, post, random, version, counted, bus } = this.#options;
    const { name } = settings;
    return new Webhook(
      settings,
      {
        clock,
        post,
        random,
        version,
        counted: (outcome) => counted(outcome, name),
        undelivered: (event, reason, attempts) =>
          this.#keep({ atMs: clock.nowMs(), webhook: name, reason, attempts, event }),
      },
      bus,
    );
  }

  #keep(kept: Undelivered): void {
    const { webhook, reason, attempts, event } = kept;
    // Of those that were never tried there may be many at once: one line tells of them, from the bus or at the end.
    if (attempts > 0)
      this.#options.log.warn("webhook.undelivered", {
        webhook,
        reason,
        attempts,
        name: event.name,
        id: event.id,
      });
    const bytes = Buffer.byteLength(JSON.stringify(event));
    this.#undelivered.push({ kept, bytes });
    this.#bytes += bytes;
    while (this.#undelivered.length > mostUndelivered || this.#bytes > mostUndeliveredBytes)
      this.#bytes -= this.#undelivered.shift()?.bytes ?? 0;
    this.#options.undelivered?.(event, webhook, reason);
  }

  status(): WebhookStatus[] {
    return this.#webhooks.map((webhook) => webhook.status());
  }

  /** What was given up, the newest first. */
  undelivered(): Undelivered[] {
    return this.#undelivered.map(({ kept }) => kept).toReversed();
  }

  /** Delivers what can still be delivered, for a moment; the rest is undelivered. */
  async stop(): Promise<void> {
    const undelivered = () => this.status().reduce((sum, each) => sum + each.undelivered, 0);
    const before = undelivered();
    await Promise.all(this.#webhooks.map((webhook) => webhook.stop(graceMs)));
    const events = undelivered() - before;
    if (events > 0) this.#options.log.warn("webhooks.ended", { undelivered: events });
  }
}
