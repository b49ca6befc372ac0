/**
 * Memory that is promised to operations that are no plugins: a backup, a build, a job. Each promise ends by itself, for
 * nobody says how such an operation ended. Pure: time, and how a lease is named, are told.
 */

import { owedBytes, type Reserved } from "./ledger.ts";

export interface Lease extends Reserved {
  id: string;
}

export interface LeaseTerms {
  /** Whose it is, for a person. */
  who: string;
  bytes: number;
  leaseMs: number;
}

/** Leases at a time; one more is refused. */
export const mostLeases = 1_000;
export const usualLeaseMs = 60_000;
export const longestLeaseMs = 3_600_000;

export class Leases {
  readonly #byId = new Map<string, Lease>();
  readonly #newId: () => string;

  /** `newId` yields a name that nobody guesses: who has it may end the lease. */
  constructor(newId: () => string) {
    this.#newId = newId;
  }

  /** Null: there are as many as there may be. */
  take({ who, bytes, leaseMs }: LeaseTerms, nowMs: number): Lease | null {
    this.#drop(nowMs);
    if (this.#byId.size >= mostLeases) return null;
    const lease = { id: this.#newId(), who, bytes, takenBytes: 0, untilMs: nowMs + bounded(leaseMs) };
    this.#byId.set(lease.id, lease);
    return lease;
  }

  /**
   * From now on for another `leaseMs`. `takenBytes` is what its holder has of it by now, which is measured from then on
   * and no longer promised; absent: as before. Null: there is no such lease, or no more.
   */
  renew(id: string, leaseMs: number, nowMs: number, takenBytes?: number): Lease | null {
    this.#drop(nowMs);
    const lease = this.#byId.get(id);
    if (!lease) return null;
    lease.untilMs = nowMs + bounded(leaseMs);
    if (takenBytes !== undefined) lease.takenBytes = Math.max(0, takenBytes);
    return lease;
  }

  /** Gives it back; false: there is no such lease, or no more. */
  release(id: string, nowMs: number): boolean {
    this.#drop(nowMs);
    return this.#byId.delete(id);
  }

  /** Those that are not over, the oldest first. */
  list(nowMs: number): readonly Lease[] {
    this.#drop(nowMs);
    return [...this.#byId.values()];
  }

  /** Bytes that are promised and not taken yet. */
  reservedBytes(nowMs: number): number {
    let sum = 0;
    for (const lease of this.#byId.values()) if (nowMs < lease.untilMs) sum += owedBytes(lease);
    return sum;
  }

  #drop(nowMs: number): void {
    for (const [id, { untilMs }] of this.#byId) if (nowMs >= untilMs) this.#byId.delete(id);
  }
}

const bounded = (leaseMs: number): number => Math.min(longestLeaseMs, Math.max(1, leaseMs));
