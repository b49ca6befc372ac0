/** A dispatcher with a bulkhead in front of each plugin: one that is slow or swamped holds up nobody else's requests. */

import type { Clock } from "../clock.ts";
import type { PluginRequest } from "../sdk/plugin.ts";
import { Bulkhead, type Place } from "./bulkhead.ts";
import { AdaptiveLimit, type ConcurrencyLimit, FixedLimit } from "./concurrency-limit.ts";
import type { DispatchAnswer, Dispatcher, Resolution } from "./dispatcher.ts";

/** What a plugin says of itself. */
export interface PluginBounds {
  platform: string;
  /** Requests that it takes at once: all its processes together. */
  most: number;
  /** Requests that may wait beside that. */
  queue: number;
}

export interface BulkheadsOptions {
  clock: Clock;
  kind: "adaptive" | "fixed";
  /** Requests at once are never more than this, whatever the plugin takes; null: no such bound. */
  limit: number | null;
  /** Live; null when there is no such plugin. */
  boundsOf(plugin: string): PluginBounds | null;
}

/** The bulkheads of one platform's plugins as they stand, together. */
export interface BulkheadView {
  platform: string;
  limit: number;
  inFlight: number;
  queued: number;
}

/** Waiting takes at most this share of a request's time: what comes to the plugin after that would mostly come too late. */
const waitShare = 0.5;
/** A call that was ended after this share of its time was ended for taking too long. */
const lateShare = 0.9;
type Limits = Parameters<Dispatcher["dispatch"]>[2];

export class Bulkheads implements Dispatcher {
  readonly #inner: Dispatcher;
  readonly #options: BulkheadsOptions;
  /** By plugin: as many as there are, since one that is not is forgotten. */
  readonly #bulkheads = new Map<string, Bulkhead>();

  constructor(inner: Dispatcher, options: BulkheadsOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  platforms(): readonly string[] {
    return this.#inner.platforms();
  }

  resolve(platform: string): Resolution | null {
    return this.#inner.resolve(platform);
  }

  /** As the inner dispatcher; "overload" when all places are taken, or none came free in time. */
  async dispatch(plugin: string, request: PluginRequest, limits: Limits): Promise<DispatchAnswer> {
    const bulkhead = this.#of(plugin);
    if (!bulkhead) return this.#inner.dispatch(plugin, request, limits);
    const beganMs = this.#options.clock.monotonicMs();
    const entered = bulkhead.enter(limits.timeoutMs * waitShare, limits.signal);
    const place = entered instanceof Promise ? await entered : entered;
    if (!place.ok) return place;
    const timeoutMs = Math.max(1, limits.timeoutMs - (place.takenAtMs - beganMs));
    return this.#inside(place, plugin, request, { ...limits, timeoutMs });
  }

  async #inside(
    place: Place,
    plugin: string,
    request: PluginRequest,
    limits: Limits,
  ): Promise<DispatchAnswer> {
    let streams = false;
    try {
      const answer = await this.#inner.dispatch(plugin, request, limits);
      if (this.#tells(answer, place, limits)) place.answered();
      // A stream holds its place until it is done.
      if (answer.ok && answer.stream) {
        streams = true;
        void answer.stream.done.then(() => place.release());
      }
      return answer;
    } finally {
      if (!streams) place.release();
    }
  }

  /** Whether its time says how busy the plugin is: not that of a crash, nor of a client that left. */
  #tells(answer: DispatchAnswer, { takenAtMs }: Place, { timeoutMs }: Limits): boolean {
    if (answer.ok || answer.kind === "plugin-error" || answer.kind === "timeout") return true;
    return (
      answer.kind === "cancelled" && this.#options.clock.monotonicMs() - takenAtMs >= lateShare * timeoutMs
    );
  }

  /** Each platform that was asked, in the order in which its plugins first were. */
  views(): BulkheadView[] {
    const views = new Map<string, BulkheadView>();
    for (const [plugin, bulkhead] of this.#bulkheads) {
      const bounds = this.#options.boundsOf(plugin);
      if (!bounds) {
        this.#bulkheads.delete(plugin);
        continue;
      }
      const { platform } = bounds;
      const view = views.get(platform) ?? { platform, limit: 0, inFlight: 0, queued: 0 };
      view.limit += bulkhead.limit;
      view.inFlight += bulkhead.inFlight;
      view.queued += bulkhead.queued;
      views.set(platform, view);
    }
    return [...views.values()];
  }

  #of(plugin: string): Bulkhead | null {
    const bounds = this.#options.boundsOf(plugin);
    if (!bounds) return null;
    const most = Math.min(bounds.most, this.#options.limit ?? Infinity);
    const { queue } = bounds;
    const known = this.#bulkheads.get(plugin);
    known?.setBounds(most, queue);
    if (known) return known;
    const made = new Bulkhead(this.#options.clock, this.#newLimit(most), most, queue);
    this.#bulkheads.set(plugin, made);
    return made;
  }

  #newLimit(most: number): ConcurrencyLimit {
    const { kind, clock } = this.#options;
    return kind === "fixed" ? new FixedLimit(most) : new AdaptiveLimit(most, clock.monotonicMs());
  }
}
