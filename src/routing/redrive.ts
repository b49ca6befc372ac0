/**
 * Sends dead letters again when their plugin is back: per platform one after the other, in the order in which they came, at
 * a bounded rate. A letter that fails holds back those behind it until it is answered or poison. The platform is the one
 * that the routing rules in force send the letter to, whichever its client named; no other one stands in for it.
 *
 *   idle ──a letter came, a plugin is ready, every 5 s──▶ looks ──▶ nothing, or not ready ──▶ idle
 *                                                          │ ▲
 *                                    due, and the rate lets it│ after the wait
 *                                                          ▼ │
 *             claim (on disk) ─▶ the router, with `sent` on disk before the plugin has it ─▶ close (on disk)
 *
 * Towards the record each redrive happens exactly once: it is claimed before and closed after. Towards the plugin it is at
 * least once: a redrive that timed out may have been carried out.
 */

import { type Clock, every, sleep, type Timer } from "../clock.ts";
import type { Publisher } from "../events/bus.ts";
import type { RedriveOutcome } from "../events/events.ts";
import type { Log } from "../log.ts";
import type { DeadLetter } from "../storage/dead-letter-row.ts";
import type { DeadLetters, RedriveEnd } from "../storage/dead-letters.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { judgeRedrive, type RedriveRules } from "./redrive-end.ts";
import { RedriveTargets } from "./redrive-targets.ts";
import type { Router } from "./router.ts";
import type { RouteRules } from "./rules.ts";

export interface RedriverOptions {
  clock: Clock;
  log: Log;
  publisher: Publisher;
  letters: Pick<
    DeadLetters,
    | "byId"
    | "next"
    | "platformsWaiting"
    | "waitingAfter"
    | "claim"
    | "markSent"
    | "close"
    | "release"
    | "sweep"
  >;
  /** The routing rules in force; default: none. */
  routes?: () => RouteRules;
  router: Pick<Router, "route">;
  dispatcher: Pick<Dispatcher, "resolve">;
  rules: RedriveRules;
  /** Redrives a second, for each platform. */
  ratePerSecond: number;
}

/** What came of a redrive that a person asked for; `done` false: it was not tried. */
export type ByHand =
  | { done: true; outcome: RedriveOutcome; reason: string }
  | {
      done: false;
      code: "unknown" | "not-open" | "expired" | "not-ready" | "busy" | "storage";
      reason: string;
    };

interface Lane {
  /** The redrive under way and those that wait for it. */
  tail: Promise<unknown>;
  queued: number;
  looking: boolean;
  /** Something changed while it was looked at. */
  again: boolean;
  timer: Timer | null;
  /** Monotonic. */
  notBeforeMs: number;
  /** The search for its next letter is so far. */
  afterId: number;
}

const lookIntervalMs = 5_000;
/** Between two pages of a search, for whatever else there is to do. */
const pageMs = 1;
/** Redrives by hand that wait for one platform. */
const mostQueued = 16;
/** Between attempts to write down how a redrive ended. */
const closeRetryMs = 1_000;
/** At the end, redrives under way have this long before they are given up. */
const stopGraceMs = 500;

export class Redriver {
  readonly #options: RedriverOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #ending = new AbortController();
  readonly #targets: RedriveTargets;
  #looks: Timer | null = null;
  /** The look at every waiting letter that is under way. */
  #everywhere: Timer | null = null;
  #paused = false;
  #stopped = false;

  constructor(options: RedriverOptions) {
    this.#options = options;
    this.#targets = new RedriveTargets(options.letters, () => options.routes?.() ?? null);
  }

  /** Begins to look for letters to redrive. */
  start(): void {
    this.#looks = every(this.#options.clock, lookIntervalMs, () => this.lookEverywhere());
    this.lookEverywhere();
  }

  /** No further redrive begins; those under way go on. */
  pause(): void {
    this.#paused = true;
    this.#looks?.cancel();
    this.#everywhere?.cancel();
    for (const lane of this.#lanes.values()) lane.timer?.cancel();
  }

  /** No further redrive begins; those under way are waited for, then given up. */
  async stop(): Promise<void> {
    this.pause();
    this.#stopped = true;
    const tails = Promise.all([...this.#lanes.values()].map(({ tail }) => tail));
    const timer = this.#options.clock.after(stopGraceMs, () => this.#ending.abort());
    await tails;
    timer.cancel();
    this.#ending.abort();
  }

  /** A letter came: its turn is looked for. */
  came(id: number): void {
    this.#guarded(() => {
      const letter = this.#options.letters.byId(id);
      if (letter) this.wake(this.#targets.of(letter));
    });
  }

  /** Something about the platform changed: the letters that go there are looked at. */
  wake(platform: string): void {
    if (this.#paused) return;
    const lane = this.#lane(platform);
    lane.afterId = 0;
    if (lane.looking) lane.again = true;
    else this.#lookLater(platform, lane, 0);
  }

  /** Redrives one letter now, whatever its turn, as soon as the one under way has ended. Throws StorageError. */
  async redrive(id: number): Promise<ByHand> {
    const { letters, clock } = this.#options;
    const letter = letters.byId(id);
    if (!letter) return { done: false, code: "unknown", reason: "there is no such dead letter" };
    const { state, expiresAtMs } = letter;
    if (state !== "waiting" && state !== "poison")
      return { done: false, code: "not-open", reason: `it is ${state}` };
    if (expiresAtMs <= clock.nowMs())
      return { done: false, code: "expired", reason: "its time to live is over" };
    const platform = this.#targets.of(letter);
    const lane = this.#lane(platform);
    if (lane.queued >= mostQueued || this.#paused)
      return {
        done: false,
        code: "busy",
        reason: `${lane.queued} redrives of ${platform} are asked for already`,
      };
    return this.#alone(lane, () => this.#redriveByHand(id, platform, lane));
  }

  async #redriveByHand(id: number, platform: string, lane: Lane): Promise<ByHand> {
    const { letters, clock, ratePerSecond } = this.#options;
    const unready = this.#unready(platform);
    if (unready !== null) return { done: false, code: "not-ready", reason: unready };
    // The rate holds for a person too; a pause because the plugin was not reached does not.
    const waitMs = Math.min(lane.notBeforeMs - clock.monotonicMs(), 1_000 / ratePerSecond);
    if (waitMs > 0) await sleep(clock, waitMs);
    const released = letters.release(id, clock.nowMs());
    if (released.problem) return { done: false, code: "storage", reason: released.problem.message };
    const letter = letters.byId(id);
    if (released.changed === 0 || !letter)
      return { done: false, code: "not-open", reason: `it is ${letter?.state ?? "gone"}` };
    lane.afterId = 0;
    const ended = await this.#send(letter, lane);
    if (ended === null) return { done: false, code: "storage", reason: "it could not be claimed" };
    return { done: true, ...ended };
  }

  /** Ends what is too old, and looks at all letters that wait. */
  lookEverywhere(): void {
    this.#guarded(() => {
      const { letters, clock, publisher } = this.#options;
      for (const [platform, count] of letters.sweep(clock.nowMs()))
        publisher.publish("deadletter.expired", { platform, deadLetters: count });
      if (!this.#everywhere) this.#lookAfter(0, new Set());
    });
  }

  /** Wakes each platform that the letters after `id` go to, one page a turn, but those of `woken`. */
  #lookAfter(id: number, woken: Set<string>): void {
    this.#everywhere = null;
    const { clock } = this.#options;
    const { found, afterId, ended } = this.#targets.all(id, clock.nowMs());
    for (const platform of found) if (!woken.has(platform)) this.wake(platform);
    if (ended || this.#paused) return;
    const others = woken.union(found);
    this.#everywhere = clock.after(pageMs, () => this.#guarded(() => this.#lookAfter(afterId, others)));
  }

  #lane(platform: string): Lane {
    const known = this.#lanes.get(platform);
    if (known) return known;
    const lane: Lane = {
      tail: Promise.resolve(),
      queued: 0,
      looking: false,
      again: false,
      timer: null,
      notBeforeMs: Number.NEGATIVE_INFINITY,
      afterId: 0,
    };
    this.#lanes.set(platform, lane);
    return lane;
  }

  #lookLater(platform: string, lane: Lane, delayMs: number): void {
    lane.timer?.cancel();
    lane.timer = this.#options.clock.after(delayMs, () => void this.#look(platform, lane));
  }

  /** Redrives one letter after the other until there is none, or one has to wait. */
  async #look(platform: string, lane: Lane): Promise<void> {
    if (lane.looking) return;
    lane.looking = true;
    lane.again = false;
    try {
      let waitMs: number | null = 0;
      while (waitMs === 0 && !this.#paused)
        waitMs = await this.#alone(lane, () => this.#step(platform, lane));
      if (waitMs !== null && !this.#paused) this.#lookLater(platform, lane, waitMs);
    } catch (error) {
      this.#options.log.error("deadletter.redrive_failed", { platform, error });
    } finally {
      lane.looking = false;
      if (lane.again) this.wake(platform);
    }
  }

  /** Redrives the oldest letter if it may be. Milliseconds until the next look; null: until something changes. */
  async #step(platform: string, lane: Lane): Promise<number | null> {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    if (this.#unready(platform) !== null) return null;
    const { found: letter, afterId, ended: none } = this.#targets.next(platform, lane.afterId, nowMs);
    lane.afterId = afterId;
    if (!letter) return none ? null : pageMs;
    const waitMs = Math.max(letter.nextAtMs - nowMs, lane.notBeforeMs - clock.monotonicMs());
    if (waitMs > 0) return Math.min(waitMs, lookIntervalMs);
    const ended = await this.#send(letter, lane);
    // Not claimed: the database takes nothing, or somebody was faster.
    return ended === null ? closeRetryMs : 0;
  }

  /** Claims, sends and closes one letter; null when it could not be claimed. */
  async #send(letter: DeadLetter, lane: Lane): Promise<{ outcome: RedriveOutcome; reason: string } | null> {
    const { letters, clock, router, rules, ratePerSecond, publisher } = this.#options;
    if (letters.claim(letter.id, clock.nowMs()).changed === 0) return null;
    lane.notBeforeMs = clock.monotonicMs() + 1_000 / ratePerSecond;
    let sent = false;
    const beforeSend = (): string | null => {
      const { problem } = letters.markSent(letter.id);
      if (problem !== null) return `that it was sent could not be written down: ${problem.message}`;
      sent = true;
      return null;
    };
    const { id, platform, type, payload, headers, requestId, idempotencyKey } = letter;
    const outcome = await router.route({
      platform,
      type,
      payload,
      headers,
      requestId,
      ...(idempotencyKey === null ? {} : { idempotencyKey }),
      fallbacks: false,
      beforeSend,
      signal: this.#ending.signal,
    });
    const judged = judgeRedrive(letter, outcome, sent, rules, clock.nowMs());
    lane.notBeforeMs = Math.max(lane.notBeforeMs, clock.monotonicMs() + judged.pauseMs);
    await this.#close(letter, judged.end);
    const { reason } = judged.end;
    publisher.publish("deadletter.redriven", { deadLetterId: id, platform, outcome: judged.outcome, reason });
    return { outcome: judged.outcome, reason };
  }

  /** Writes down how it ended, as often as it takes: until then nothing more is sent to the platform. */
  async #close(letter: DeadLetter, end: RedriveEnd): Promise<void> {
    const { letters, clock, log } = this.#options;
    while (letters.close(letter, end).problem !== null) {
      if (this.#stopped) {
        log.error("deadletter.end_not_kept", { deadLetterId: letter.id, state: end.state });
        return;
      }
      await sleep(clock, closeRetryMs);
    }
  }

  /** Why nothing can be sent to the platform now; null when it can. */
  #unready(platform: string): string | null {
    const resolution = this.#options.dispatcher.resolve(platform);
    if (!resolution) return `no plugin serves ${platform}`;
    const { state, plugin, reason } = resolution;
    return state === "ready" ? null : `${plugin} is ${state}: ${reason}`;
  }

  /** Runs `work` when what was asked for before it has ended. */
  #alone<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
    lane.queued++;
    const done = lane.tail.then(work).finally(() => lane.queued--);
    // A failure is its caller's; the next one begins all the same.
    lane.tail = done.catch(() => undefined);
    return done;
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.log.error("deadletter.look_failed", { error });
    }
  }
}
