/**
 * One platform's circuit breaker.
 *
 *            `failures` in a row, or trip()                reset time passes
 *   closed ---------------------------------> open -------------------------> half-open
 *     ^                                        ^                                  |
 *     |                                        +------- the probe fails ----------+
 *     +------------------------ the one probe succeeds --------------------------+
 *
 *   isolate() holds it open from any state until close().
 *
 * Opened again before it was closed for `stableMs`, it stays open twice as long as the last time, up to `mostResetMs`.
 *
 * States, stored form and errors are cockatiel's. The machine is our own, for what cockatiel's policy cannot do: it reads
 * `Date.now`, so a stepped wall clock moves the reset; it applies a result microtasks later, so a state read right after
 * a failure is stale; it parks the callers beside a probe instead of refusing them; it knows no neutral
 * result, so an overload or a caller who left would count as a success; and its rule does not see of what kind a failure
 * is. A test runs both side by side.
 */

import { BrokenCircuitError, CircuitState } from "cockatiel";
import type { Clock } from "../clock.ts";
import {
  type BreakerMover,
  type BreakerState,
  parseStoredBreaker,
  type StoredBreaker,
} from "./breaker-state.ts";
import { type Thresholds, TripRule } from "./trip-rule.ts";

/** The right to one call. The first of its three methods counts; a result that comes after the breaker moved on is ignored. */
export interface BreakerPermit {
  success(): void;
  /** `kind` is for the reason; "overload" is neutral: a busy plugin is not a broken one. */
  failure(kind: string): void;
  /** The call ended without telling anything about the platform, as when the caller left. */
  release(): void;
}

export interface BreakerOptions {
  clock: Clock;
  /** Failures in a row that open it. */
  failures: number;
  /** The same for failures of one kind alone; absent: `failures`. */
  thresholds?: Thresholds;
  /** From opening to the first probe. */
  resetMs: number;
  /** Doubled with each opening, the reset time comes to at most this; absent: it stays `resetMs`. */
  mostResetMs?: number;
  /** Closed for so long, it begins again with `resetMs`; absent: at once. */
  stableMs?: number;
  /** Told after every move, with what it was before. */
  moved?: (breaker: PlatformCircuitBreaker) => void;
}

/** `execute` was refused: the breaker is open. */
export class BreakerOpenError extends BrokenCircuitError {
  readonly code = "breaker-open";
  /** `retryAfterMs` is null when only a person can close it. */
  constructor(
    reason: string,
    readonly retryAfterMs: number | null,
  ) {
    const next =
      retryAfterMs === null ? "close it by hand" : `try again in ${Math.ceil(retryAfterMs / 1000)} s`;
    super(`The circuit breaker is open (${reason}): ${next}.`);
    this.name = "BreakerOpenError";
  }
}

/** Failures of this kind say that a plugin is busy, not that it is broken. */
const neutralKind = "overload";

export class PlatformCircuitBreaker {
  readonly #clock: Clock;
  readonly #options: BreakerOptions;
  readonly #rule: TripRule;
  #phase = CircuitState.Closed;
  /** Moves with every change of phase and every probe, so that a late result is recognised. */
  #generation = 0;
  /** Monotonic time at which a probe may go. */
  #dueAt = 0;
  /** Monotonic time at which the probe under way was let through; null when there is none. */
  #probeAt: number | null = null;
  #attempt = 0;
  /** Since it was last closed for `stableMs`. */
  #openings = 0;
  /** Monotonic time at which it closed. */
  #closedAt: number;
  #openedAtMs = 0;
  /** The reset time of the last opening. */
  #openMs = 0;
  #sinceMs: number;
  #reason = "no failure yet";
  #movedBy: BreakerMover = "requests";

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#rule = new TripRule(options.failures, options.thresholds);
    this.#closedAt = options.clock.monotonicMs();
    this.#sinceMs = options.clock.nowMs();
  }

  /**
   * May a call go now? When half-open the first to ask takes the probe, so report its result with `recordSuccess` or
   * `recordFailure`; a probe that nobody reports lapses after the reset time. To look without taking, use `getState`.
   */
  canExecute(): boolean {
    if (this.#phase === CircuitState.Closed) return true;
    return this.#takeProbe();
  }

  /** As `canExecute`, with a permit that ties the result to this call; null when refused. */
  acquire(): BreakerPermit | null {
    if (!this.canExecute()) return null;
    return new Permit(this, this.#generation);
  }

  /** A call allowed by `canExecute` succeeded. Ignored while open. */
  recordSuccess(): void {
    this.settle(this.#generation, "success", "");
  }

  /** A call allowed by `canExecute` failed. Ignored while open; "overload" never counts. */
  recordFailure(kind: string): void {
    this.settle(this.#generation, "failure", kind);
  }

  /**
   * Runs `fn` if the breaker permits. `kindOf` names the failure of what `fn` threw, null for a neutral one.
   * Throws `BreakerOpenError` when refused, else what `fn` throws.
   */
  async execute<T>(
    fn: () => T | Promise<T>,
    kindOf: (error: unknown) => string | null = () => "error",
  ): Promise<T> {
    const permit = this.acquire();
    if (!permit) throw new BreakerOpenError(this.#reason, this.retryAfterMs());
    try {
      const result = await fn();
      permit.success();
      return result;
    } catch (error) {
      const kind = kindOf(error);
      if (kind === null) permit.release();
      else permit.failure(kind);
      throw error;
    }
  }

  /** How it stands now. Half-open as soon as the reset time has passed, though no call has come yet. */
  getState(): BreakerState {
    const due = this.#probeDue();
    const opened = this.#phase === CircuitState.Open;
    const waits = opened || (this.#phase === CircuitState.HalfOpen && this.#probeAt === null);
    return {
      state: this.#phase === CircuitState.Closed ? "closed" : due ? "half-open" : "open",
      isolated: this.#phase === CircuitState.Isolated,
      consecutiveFailures: this.#rule.inARow,
      openings: this.#openings,
      sinceMs: opened && due ? this.#openedAtMs + this.#openMs : this.#sinceMs,
      nextProbeMs: waits ? this.#clock.nowMs() + Math.max(0, this.#dueAt - this.#clock.monotonicMs()) : null,
      reason: this.#reason,
      movedBy: this.#movedBy,
    };
  }

  /** Milliseconds until a call may go: 0 now, null never by itself. */
  retryAfterMs(): number | null {
    if (this.#phase === CircuitState.Closed) return 0;
    if (this.#phase === CircuitState.Isolated) return null;
    const at = this.#probeAt === null ? this.#dueAt : this.#probeAt + this.#options.resetMs;
    return Math.max(0, at - this.#clock.monotonicMs());
  }

  /** Opens it for the reset time, whatever it counted; one opening of a person is none of its own. An isolated one stays isolated. */
  trip(reason: string, movedBy: BreakerMover): void {
    if (this.#phase === CircuitState.Isolated) return;
    const byPerson = movedBy === "person";
    if (!byPerson) this.#openings = this.#isStable() ? 1 : this.#openings + 1;
    this.#attempt++;
    this.#openedAtMs = this.#clock.nowMs();
    this.#openMs = byPerson ? this.#options.resetMs : this.#grownResetMs();
    this.#dueAt = this.#clock.monotonicMs() + this.#openMs;
    this.#move(CircuitState.Open, reason, movedBy);
  }

  /** Closes it from any state and forgets the failures; closed by a person, how often it opened too. */
  close(reason: string, movedBy: BreakerMover): void {
    this.#rule.success();
    this.#attempt = 0;
    if (movedBy === "person") this.#openings = 0;
    this.#closedAt = this.#clock.monotonicMs();
    this.#move(CircuitState.Closed, reason, movedBy);
  }

  /** Holds it open until `close`. */
  isolate(reason: string): void {
    this.#move(CircuitState.Isolated, reason, "person");
  }

  /** The stored form. */
  toJSON(): StoredBreaker {
    const probing = this.#phase === CircuitState.HalfOpen;
    const ownState: StoredBreaker["ownState"] = { value: probing ? CircuitState.Open : this.#phase };
    if (ownState.value === CircuitState.Open) {
      ownState.openedAt = probing ? 0 : this.#openedAtMs;
      ownState.attemptNo = this.#attempt;
    }
    if (ownState.value === CircuitState.Isolated) ownState.counters = 1;
    return {
      ownState,
      breakerState: this.#rule.inARow,
      reason: this.#reason,
      movedBy: this.#movedBy,
      openings: this.#openings,
      sinceMs: this.#sinceMs,
    };
  }

  /** Takes over a stored form, cockatiel's included. False, and nothing changed, when it is not one. */
  restore(value: unknown): boolean {
    const stored = parseStoredBreaker(value);
    if (!stored) return false;
    this.#rule.resume(stored.breakerState);
    this.#attempt = stored.ownState.attemptNo ?? 0;
    this.#openings = stored.openings ?? (this.#attempt > 0 ? 1 : 0);
    this.#openedAtMs = stored.ownState.openedAt ?? 0;
    this.#openMs = this.#grownResetMs();
    // Only the wall clock survives a restart, and it may have been stepped: the wait is at most one reset time.
    this.#dueAt = this.#clock.monotonicMs() + this.#openMs - this.#sinceWall(this.#openedAtMs, this.#openMs);
    const reason = stored.reason ?? "as before the restart";
    this.#move(stored.ownState.value, reason, stored.movedBy ?? "requests");
    if (this.#phase === CircuitState.Open) this.#sinceMs = this.#openedAtMs;
    else this.#sinceMs = stored.sinceMs ?? this.#sinceMs;
    this.#closedAt = this.#clock.monotonicMs() - this.#sinceWall(this.#sinceMs, this.#options.stableMs ?? 0);
    return true;
  }

  /** Milliseconds since `atMs` on the wall clock, from 0 to `most`. */
  #sinceWall(atMs: number, most: number): number {
    return Math.min(Math.max(0, this.#clock.nowMs() - atMs), most);
  }

  #isStable(): boolean {
    if (this.#phase !== CircuitState.Closed) return false;
    return this.#clock.monotonicMs() - this.#closedAt >= (this.#options.stableMs ?? 0);
  }

  #grownResetMs(): number {
    const { resetMs, mostResetMs = resetMs } = this.#options;
    return Math.min(
      Math.max(resetMs, mostResetMs),
      resetMs * 2 ** Math.min(Math.max(0, this.#openings - 1), 30),
    );
  }

  /** A result of a call permitted in `generation`. For permits. */
  settle(generation: number, result: "success" | "failure" | "release", kind: string): void {
    if (generation !== this.#generation) return;
    const probing = this.#phase === CircuitState.HalfOpen && this.#probeAt !== null;
    if (this.#phase !== CircuitState.Closed && !probing) return;
    if (result === "release" || (result === "failure" && kind === neutralKind)) {
      if (probing) this.#probeAt = null;
      return;
    }
    if (result === "failure") this.#failed(kind, probing);
    else if (probing) this.close("the probe succeeded", "requests");
    else this.#rule.success();
  }

  #failed(kind: string, probing: boolean): void {
    const enough = this.#rule.failure(kind);
    if (probing) this.trip(`the probe failed: ${kind}`, "requests");
    else if (enough) this.trip(`${this.#rule.inARow} failures in a row, the last: ${kind}`, "requests");
  }

  #probeDue(): boolean {
    if (this.#phase === CircuitState.HalfOpen) return true;
    return this.#phase === CircuitState.Open && this.#clock.monotonicMs() >= this.#dueAt;
  }

  #takeProbe(): boolean {
    if (!this.#probeDue()) return false;
    const now = this.#clock.monotonicMs();
    if (this.#probeAt !== null && now - this.#probeAt < this.#options.resetMs) return false;
    if (this.#phase !== CircuitState.HalfOpen) this.#enterHalfOpen();
    this.#generation++;
    this.#probeAt = now;
    return true;
  }

  #enterHalfOpen(): void {
    const { sinceMs } = this.getState();
    this.#move(CircuitState.HalfOpen, `probing after: ${this.#reason}`, this.#movedBy);
    this.#sinceMs = sinceMs;
  }

  #move(phase: CircuitState, reason: string, movedBy: BreakerMover): void {
    this.#phase = phase;
    this.#generation++;
    this.#probeAt = null;
    this.#sinceMs = this.#clock.nowMs();
    this.#reason = reason;
    this.#movedBy = movedBy;
    this.#options.moved?.(this);
  }
}

class Permit implements BreakerPermit {
  #settled = false;

  constructor(
    readonly breaker: PlatformCircuitBreaker,
    readonly generation: number,
  ) {}

  success(): void {
    this.#settle("success", "");
  }

  failure(kind: string): void {
    this.#settle("failure", kind);
  }

  release(): void {
    this.#settle("release", "");
  }

  #settle(result: "success" | "failure" | "release", kind: string): void {
    if (this.#settled) return;
    this.#settled = true;
    this.breaker.settle(this.generation, result, kind);
  }
}
