/**
 * Delivers the letters of one webhook again: one after the other, in the order in which they were given up.
 *
 *   idle ──the receiver took something, start, by hand, its time has come──▶ walk ──▶ no letter left ──▶ idle
 *                                                                           │ ▲
 *                                                       the oldest is sent  │ │ 2xx: deleted
 *                                                                           ▼ │ 4xx: it stays, the next one follows
 *                                             5xx, no answer: all wait ◀── sent
 *
 * What a receiver refuses counts as a failed redrive. What fails otherwise counts only where the receiver took something
 * since the last failure: an outage, however long, makes no letter poison.
 */

import { type Clock, sleep, type Timer } from "../clock.ts";
import type { Log } from "../log.ts";
import type { WebhookLetter, WebhookLetters } from "../storage/webhook-letters.ts";
import { backoffMs, type Verdict } from "./verdict.ts";

/** Sent again in a second, to one webhook. */
const ratePerSecond = 5;
/** Failed redrives that count; then a letter waits for a person. */
export const mostRedrives = 5;

/** What came of sending a letter again. */
export type RedeliveryOutcome = "redelivered" | "redrive-failed" | "poison";

export interface RedeliveryPorts {
  clock: Clock;
  log: Log;
  /** 0..1, for the jitter. */
  random(): number;
  letters: Pick<WebhookLetters, "next" | "remove" | "failed">;
  /** Given up when `signal` aborts. */
  send(letter: WebhookLetter, signal: AbortSignal): Promise<Verdict>;
  counted(outcome: RedeliveryOutcome): void;
}

export class Redelivery {
  readonly #ending = new AbortController();
  /** Acknowledged, but the database did not take that: at most as many as letters are kept. */
  readonly #acknowledged = new Set<number>();
  #walking: Promise<void> | null = null;
  #timer: { dueMs: number; timer: Timer } | null = null;
  /** The receiver took something since the last failure. */
  #receives = false;
  /** In a row. */
  #failures = 0;
  /** Monotonic: the letter that failed last is not sent before. */
  #notBeforeMs = 0;
  #nextSendMs = 0;
  /** What was asked for during a walk: milliseconds from its end. */
  #askedMs = Number.POSITIVE_INFINITY;

  constructor(
    private readonly webhook: string,
    private readonly backoff: { initialMs: number; maxMs: number },
    private readonly ports: RedeliveryPorts,
  ) {}

  /** Sends what was left behind by the run before. */
  begin(): void {
    this.#walkIn(0);
  }

  /** The receiver took an event. */
  received(): void {
    this.#receives = true;
    this.#failures = 0;
    this.#walkIn(this.#notBeforeMs - this.ports.clock.monotonicMs());
  }

  /** A letter came: where the receiver is told of nothing else, it is tried once a longest wait. */
  kept(): void {
    this.#walkIn(this.backoff.maxMs);
  }

  /** A person asks for it. */
  byHand(): void {
    this.#receives = true;
    this.#failures = 0;
    this.#notBeforeMs = 0;
    this.#walkIn(0);
  }

  #walkIn(ms: number): void {
    if (this.#ending.signal.aborted) return;
    if (this.#walking !== null) {
      this.#askedMs = Math.min(this.#askedMs, ms);
      return;
    }
    const { clock } = this.ports;
    const dueMs = clock.monotonicMs() + Math.max(0, ms);
    if (this.#timer !== null && this.#timer.dueMs <= dueMs) return;
    this.#timer?.timer.cancel();
    this.#timer = { dueMs, timer: clock.after(Math.max(0, ms), () => this.#begin()) };
  }

  #begin(): void {
    this.#timer = null;
    this.#walking = this.#walk().then((waitMs) => {
      this.#walking = null;
      const askedMs = Math.max(this.#askedMs, this.#notBeforeMs - this.ports.clock.monotonicMs());
      this.#askedMs = Number.POSITIVE_INFINITY;
      const nextMs = Math.min(waitMs ?? Number.POSITIVE_INFINITY, askedMs);
      if (Number.isFinite(nextMs)) this.#walkIn(nextMs);
    });
  }

  /** Milliseconds until the next walk; null: nothing is left to send. */
  async #walk(): Promise<number | null> {
    const { log, letters } = this.ports;
    try {
      let refused = false;
      for (
        let letter = letters.next(this.webhook, 0);
        letter;
        letter = letters.next(this.webhook, letter.id)
      ) {
        if (!(await this.#turn())) return null;
        const judged = this.#acknowledged.has(letter.id)
          ? { kind: "delivered" as const }
          : await this.ports.send(letter, this.#ending.signal);
        if (judged.kind === "delivered") {
          if (!this.#delivered(letter)) return this.backoff.maxMs;
          continue;
        }
        if (this.#ending.signal.aborted) return null;
        const waitMs = this.#failed(letter, judged);
        if (judged.kind === "again") return waitMs;
        refused = true;
      }
      return refused ? this.backoff.maxMs : null;
    } catch (error) {
      log.warn("webhook.redelivery_failed", { webhook: this.webhook, error });
      return this.backoff.maxMs;
    }
  }

  /** Waits for the rate; false: conductor ends. */
  async #turn(): Promise<boolean> {
    const { clock } = this.ports;
    const waitMs = this.#nextSendMs - clock.monotonicMs();
    if (waitMs > 0) await sleep(clock, waitMs, this.#ending.signal).catch(() => undefined);
    this.#nextSendMs = clock.monotonicMs() + 1_000 / ratePerSecond;
    return !this.#ending.signal.aborted;
  }

  /** False: the database does not take it; the letter is not sent again, but deleted later. */
  #delivered({ id, eventId }: WebhookLetter): boolean {
    const { log, letters, counted } = this.ports;
    this.#receives = true;
    this.#failures = 0;
    if (!this.#acknowledged.has(id)) {
      counted("redelivered");
      log.debug("webhook.redelivered", { webhook: this.webhook, id: eventId });
    }
    const done = letters.remove(id).problem === null;
    if (done) this.#acknowledged.delete(id);
    else this.#acknowledged.add(id);
    return done;
  }

  /** Milliseconds to wait before the receiver is tried again by itself. */
  #failed(letter: WebhookLetter, judged: Exclude<Verdict, { kind: "delivered" }>): number {
    const { clock, random, letters, counted, log } = this.ports;
    const { kind, reason } = judged;
    const counts = kind === "refused" || this.#receives;
    letters.failed(letter.id, reason, counts, mostRedrives);
    const redrives = letter.redrives + (counts ? 1 : 0);
    const poison = redrives >= mostRedrives;
    counted(poison ? "poison" : "redrive-failed");
    if (poison)
      log.warn("webhook.letter_poison", { webhook: this.webhook, id: letter.eventId, reason, redrives });
    const wishMs = judged.kind === "again" ? judged.afterMs : null;
    this.#failures++;
    const ownMs = poison ? 0 : backoffMs(Math.max(1, redrives), this.backoff, random(), wishMs);
    this.#notBeforeMs = clock.monotonicMs() + ownMs;
    if (kind === "again") this.#receives = false;
    return Math.max(ownMs, backoffMs(this.#failures, this.backoff, random(), wishMs));
  }

  /** Gives up what is being sent; it stays. */
  async stop(): Promise<void> {
    this.#ending.abort();
    this.#timer?.timer.cancel();
    await this.#walking;
  }
}
