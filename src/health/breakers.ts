/** The circuit breakers, one a platform: created when first asked for, announced when they move. */

import type { Clock, Timer } from "../clock.ts";
import type { Publisher } from "../events/bus.ts";
import { type BreakerPermit, PlatformCircuitBreaker } from "./breaker.ts";
import type { BreakerMove, BreakerState, BreakerStateName, StoredBreaker } from "./breaker-state.ts";
import type { HealthObserver, HealthResult } from "./probe.ts";
import type { Thresholds } from "./trip-rule.ts";

/** One line of the list of breakers. */
export interface BreakerSnapshot extends BreakerState {
  platform: string;
}

/** Either the right to one call, or why not and for how long; `retryAfterMs` null: until a person closes it. */
export type BreakerAnswer =
  | { permitted: true; permit: BreakerPermit }
  | { permitted: false; reason: string; retryAfterMs: number | null };

/** Where breakers are kept over a restart, and their moves for a person to read. Told on change only; must not throw. */
export interface BreakerRecorder {
  keep(platform: string, stored: StoredBreaker): void;
  moved(move: BreakerMove): void;
  /** The platform is no more. */
  forget(platform: string): void;
}

export interface BreakersOptions {
  clock: Clock;
  events: Publisher;
  recorder?: BreakerRecorder;
  /** Failures in a row that open a breaker. */
  failures: number;
  /** The same for failures of one kind alone; absent: `failures`. */
  thresholds?: Thresholds;
  /** From opening to the first probe. */
  resetMs: number;
  /** The same for one platform, asked whenever it matters; absent: `resetMs` for all. */
  resetMsOf?: (platform: string) => number;
  /** The reset time doubles with each opening up to this; absent: it does not. */
  mostResetMs?: number;
  /** Closed for so long, it begins again with `resetMs`. */
  stableMs?: number;
}

interface Entry {
  breaker: PlatformCircuitBreaker;
  announced: BreakerStateName;
  announcedReason: string;
  /** Set while open: announces half-open when the reset time has passed. */
  timer: Timer | null;
}

/** Most platforms with a breaker; over that the one asked for longest ago is forgotten (it would start closed). */
const maxBreakers = 1_024;
const longestReasonChars = 300;

export class Breakers implements HealthObserver {
  readonly #options: BreakersOptions;
  readonly #entries = new Map<string, Entry>();
  /** What is taken over was recorded before. */
  #restoring = false;

  constructor(options: BreakersOptions) {
    this.#options = options;
  }

  /** The breaker of `platform`, closed when it is new. */
  get(platform: string): PlatformCircuitBreaker {
    return (this.#entries.get(platform) ?? this.#add(platform)).breaker;
  }

  /** Asks for one call to `platform`. A granted permit must be settled. */
  acquire(platform: string): BreakerAnswer {
    const breaker = this.get(platform);
    const permit = breaker.acquire();
    if (permit) return { permitted: true, permit };
    return { permitted: false, reason: breaker.getState().reason, retryAfterMs: breaker.retryAfterMs() };
  }

  /** Every breaker, in the order of creation. */
  list(): BreakerSnapshot[] {
    return [...this.#entries].map(([platform, { breaker }]) => ({ platform, ...breaker.getState() }));
  }

  /** The breaker of `platform` as it stands; null when there is none. */
  view(platform: string): BreakerSnapshot | null {
    const entry = this.#entries.get(platform);
    return entry ? { platform, ...entry.breaker.getState() } : null;
  }

  /** Opens a breaker by hand for one reset time. */
  open(platform: string, reason: string): void {
    this.get(platform).trip(cut(reason), "person");
  }

  /** Closes a breaker by hand, an isolated one too. */
  close(platform: string, reason: string): void {
    this.get(platform).close(cut(reason), "person");
  }

  /** Holds a breaker open until `close`. */
  isolate(platform: string, reason: string): void {
    this.get(platform).isolate(cut(reason));
  }

  /**
   * Health checks open a breaker when the platform is failed, and keep it open while it stays so; a healthy check
   * closes, after the reset time, only a breaker that health checks opened. A single good check says nothing of
   * requests, so it never resets what requests counted. A process exit opens nothing: its successor starts fresh.
   */
  checked(result: HealthResult): void {
    const breaker = this.get(result.platform);
    const { state, movedBy, nextProbeMs } = breaker.getState();
    const probeFree = state === "half-open" && nextProbeMs !== null;
    if (result.status === "failed" && result.failure !== "exited") {
      const renew = probeFree && movedBy === "health";
      if (state === "closed" || renew) breaker.trip(cut(`health: ${result.detail}`), "health");
    } else if (result.failure === null && result.status !== "unhealthy") {
      if (probeFree && movedBy === "health") breaker.close("healthy again", "health");
    }
  }

  /** A plugin of `platform` was started: what health checks saw of its former process is over. */
  pluginStarted(platform: string): void {
    const breaker = this.#entries.get(platform)?.breaker;
    const { state, isolated, movedBy } = breaker?.getState() ?? {};
    if (state !== "closed" && !isolated && movedBy === "health")
      breaker?.close("its plugin was started anew", "health");
  }

  /** Forgets the platforms that `keep` does not hold, as after a plugin was removed. */
  retain(keep: ReadonlySet<string>): void {
    for (const platform of [...this.#entries.keys()]) {
      if (keep.has(platform)) continue;
      this.#forget(platform);
      this.#options.recorder?.forget(platform);
    }
  }

  /** Every breaker's stored form, by platform. */
  serialize(): Record<string, StoredBreaker> {
    return Object.fromEntries(
      [...this.#entries].map(([platform, { breaker }]) => [platform, breaker.toJSON()]),
    );
  }

  /** Takes over what `serialize` gave; answers the platforms whose form was not understood and start closed. */
  restore(stored: Readonly<Record<string, unknown>>): string[] {
    this.#restoring = true;
    const refused = Object.entries(stored)
      .filter(([platform, value]) => !this.get(platform).restore(value))
      .map(([platform]) => platform);
    this.#restoring = false;
    return refused;
  }

  /** Stops its timers. */
  stop(): void {
    for (const entry of this.#entries.values()) entry.timer?.cancel();
  }

  #add(platform: string): Entry {
    const [oldest] = this.#entries.keys();
    if (this.#entries.size >= maxBreakers && oldest !== undefined) this.#forget(oldest);
    const { clock, failures, thresholds, resetMs, resetMsOf, mostResetMs, stableMs } = this.#options;
    const breaker = new PlatformCircuitBreaker({
      clock,
      failures,
      ...(thresholds ? { thresholds } : {}),
      ...(mostResetMs === undefined ? {} : { mostResetMs }),
      ...(stableMs === undefined ? {} : { stableMs }),
      // Read when needed: a plugin that is reloaded may come with another one.
      get resetMs() {
        return resetMsOf?.(platform) ?? resetMs;
      },
      moved: () => {
        if (!this.#restoring) this.#options.recorder?.keep(platform, breaker.toJSON());
        const { state, movedBy } = breaker.getState();
        this.#announce(platform, entry, movedBy === "person" && state !== "half-open");
      },
    });
    const entry: Entry = {
      breaker,
      announced: "closed",
      announcedReason: breaker.getState().reason,
      timer: null,
    };
    this.#entries.set(platform, entry);
    return entry;
  }

  #forget(platform: string): void {
    this.#entries.get(platform)?.timer?.cancel();
    this.#entries.delete(platform);
  }

  /** `ordered`: by a person just now, which is on record though nothing changed by it. */
  #announce(platform: string, entry: Entry, ordered = false): void {
    const now = entry.breaker.getState();
    const sameState = now.state === entry.announced;
    const from = entry.announced;
    const worthSaying = !sameState || (now.state === "open" && now.reason !== entry.announcedReason);
    entry.announced = now.state;
    entry.announcedReason = now.reason;
    this.#rearm(platform, entry, now);
    const reason =
      now.state === "half-open"
        ? "the reset time has passed"
        : now.isolated
          ? `isolated: ${now.reason}`
          : now.reason;
    const { clock, recorder, events } = this.#options;
    if (!this.#restoring && (worthSaying || ordered))
      recorder?.moved({ atMs: clock.nowMs(), platform, from, to: now.state, reason, movedBy: now.movedBy });
    if (worthSaying) events.publish("breaker.changed", { platform, from, to: now.state, reason });
  }

  #rearm(platform: string, entry: Entry, now: BreakerState): void {
    entry.timer?.cancel();
    entry.timer = null;
    if (now.state !== "open" || now.isolated) return;
    // A timer may come a moment early; then it finds the breaker still open and waits the rest.
    const waitMs = Math.max(1, entry.breaker.retryAfterMs() ?? 0);
    entry.timer = this.#options.clock.after(waitMs, () => this.#announce(platform, entry));
  }
}

const cut = (reason: string): string =>
  reason.length <= longestReasonChars ? reason : `${reason.slice(0, longestReasonChars - 1)}…`;
