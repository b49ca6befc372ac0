/** What a circuit breaker shows, and what of it is kept over a restart. */

import { CircuitState } from "cockatiel";

export type BreakerStateName = "closed" | "open" | "half-open";

/** What moved the breaker last: answers to requests, health checks, or a person. */
export type BreakerMover = "requests" | "health" | "person";

/** A breaker as it stands. Times are milliseconds since the epoch. */
export interface BreakerState {
  state: BreakerStateName;
  /** Held open by hand: no probe until it is closed by hand. `state` is then "open". */
  isolated: boolean;
  /** Failures since the last success; a failed probe counts on. */
  consecutiveFailures: number;
  /** How often it opened by itself since it was last closed for long; each time doubles how long it stays open. */
  openings: number;
  /** When `state` began. */
  sinceMs: number;
  /** When the next request is let through as a probe; null when closed, isolated, or a probe is under way. */
  nextProbeMs: number | null;
  /** Why it is so, in plain words. */
  reason: string;
  movedBy: BreakerMover;
}

/**
 * The stored form: the shape of cockatiel's `toJSON()`, so that either reads the other's, plus why.
 * An interrupted probe is stored as open since 0, which allows the next probe at once.
 */
export interface StoredBreaker {
  ownState: { value: CircuitState; openedAt?: number; attemptNo?: number; counters?: number };
  /** Failures in a row. */
  breakerState: number;
  reason?: string;
  movedBy?: BreakerMover;
  openings?: number;
  /** When its state began, milliseconds since the epoch. */
  sinceMs?: number;
}

const movers: readonly unknown[] = ["requests", "health", "person"];
const isTime = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const storable: readonly unknown[] = [CircuitState.Closed, CircuitState.Open, CircuitState.Isolated];

/** `value` as a stored breaker, or null where it is none: a stored text is not trusted. */
export function parseStoredBreaker(value: unknown): StoredBreaker | null {
  if (typeof value !== "object" || value === null || !("ownState" in value)) return null;
  const { ownState } = value;
  if (typeof ownState !== "object" || ownState === null || !("value" in ownState)) return null;
  if (!storable.includes(ownState.value)) return null;
  const openedAt = "openedAt" in ownState ? ownState.openedAt : undefined;
  if (ownState.value === CircuitState.Open && !isTime(openedAt)) return null;
  return {
    ownState: {
      value: ownState.value as CircuitState,
      ...(isTime(openedAt) ? { openedAt } : {}),
      ...("attemptNo" in ownState && isCount(ownState.attemptNo) ? { attemptNo: ownState.attemptNo } : {}),
    },
    breakerState: "breakerState" in value && isCount(value.breakerState) ? value.breakerState : 0,
    ...("reason" in value && typeof value.reason === "string" ? { reason: value.reason } : {}),
    ...("movedBy" in value && movers.includes(value.movedBy)
      ? { movedBy: value.movedBy as BreakerMover }
      : {}),
    ...("openings" in value && isCount(value.openings) ? { openings: value.openings } : {}),
    ...("sinceMs" in value && isTime(value.sinceMs) ? { sinceMs: value.sinceMs } : {}),
  };
}

/** One move of a breaker, for the record. Isolated counts as open. */
export interface BreakerMove {
  atMs: number;
  platform: string;
  from: BreakerStateName;
  to: BreakerStateName;
  reason: string;
  movedBy: BreakerMover;
}
