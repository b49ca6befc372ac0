/**
 * Requests that nobody could answer, kept to be answered later. Every change is on the disk (synchronous=FULL) when its
 * call returns.
 *
 *   park ──▶ waiting ──claim──▶ redriving ──answered──▶ answered
 *              │  ▲                │   │
 *              │  └─failed, or not sent│
 *              │  ▲                    └──failed too often──▶ poison
 *              │  └──────────asked for by hand──────────────────┘
 *              ├──its time is over──▶ expired
 *              └──by hand (from poison too)──▶ discarded
 *
 * A claim is written before the request is sent, and `sent` just before it reaches the plugin. A claim that is found at
 * start was never closed: what was not sent, or does no harm twice, waits again; the rest is held for a person.
 */

import type { Json } from "../sdk/plugin.ts";
import type { ConductorDatabase } from "./database.ts";
import { DeadLetterBounds, type DeadLetterLimits, type LeftByBounds } from "./dead-letter-bounds.ts";
import {
  attemptsText,
  boundedText,
  bytesOf,
  type DeadLetter,
  type DeadLetterAttempt,
  type DeadLetterDraft,
  letterOf,
  resultText,
} from "./dead-letter-row.ts";
import { type DeadLetterStatements, deadLetterStatements } from "./dead-letter-statements.ts";
import type { WriteGuard, WriteProblem, WriteResult } from "./write-guard.ts";

/** How a redrive ended, for the record. */
export interface RedriveEnd {
  state: "waiting" | "answered" | "poison";
  reason: string;
  atMs: number;
  /** It counts as a redrive. */
  counts: boolean;
  /** Null: the plugin was not asked. */
  attempt: DeadLetterAttempt | null;
  /** When it may be sent again. */
  nextAtMs: number;
  /** Not sent again before a person says so. */
  held?: boolean;
  result?: Json;
}

export type ParkResult = { id: number; problem: null } | { id: null; problem: WriteProblem };
export type ChangeResult = { changed: number; problem: WriteProblem | null };

/** What was found at the start and belonged to nobody. */
export interface Recovered {
  waiting: number;
  held: number;
  poison: number;
}

export class DeadLetters {
  readonly #bounds: DeadLetterBounds;
  readonly #statements: DeadLetterStatements;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
    limits: DeadLetterLimits,
  ) {
    this.#bounds = new DeadLetterBounds(database, limits);
    this.#statements = deadLetterStatements(database);
  }

  get limits(): DeadLetterLimits {
    return this.#bounds.limits;
  }

  /** False where the state is in memory: what is parked ends with the process. */
  get durable(): boolean {
    return this.database.path !== null;
  }

  /** Letters of every state, and what they take. */
  get held(): { count: number; bytes: number; left: Readonly<LeftByBounds> } {
    const { count, bytes, left } = this.#bounds;
    return { count, bytes, left };
  }

  /**
   * Keeps a letter; on the disk when this returns with an id. The oldest leave where the bounds are reached. `alongside`
   * writes in the same transaction. A `problem` means that nothing was kept, nor written.
   */
  park(draft: DeadLetterDraft, alongside: (id: number) => void = () => undefined): ParkResult {
    const payload = JSON.stringify(draft.payload);
    const headers = JSON.stringify(draft.headers);
    const reason = boundedText(draft.reason);
    const { text: attempts, leftOut } = attemptsText(draft.attempts);
    const bytes = bytesOf(payload, headers, reason, attempts, draft.idempotencyKey, draft.type);
    const { maxBytes } = this.#bounds.limits;
    if (bytes > maxBytes) {
      const message = `the request takes ${bytes} bytes, all dead letters together at most ${maxBytes} (deadLetters.maxBytes)`;
      return { id: null, problem: { code: "DEAD_LETTER_TOO_LARGE", message } };
    }
    let id = 0;
    const { requestId, platform, type, idempotencyKey, kind, atMs, expiresAtMs, nextAtMs } = draft;
    const problem = this.#counted((undo) =>
      this.guard.attemptInFreeRoom("dead_letters", () => {
        undo();
        this.#bounds.makeRoom(bytes);
        const idempotent = draft.idempotent ? 1 : 0;
        const request = [requestId, platform, type, payload, headers, idempotencyKey, idempotent];
        const times = [Math.trunc(atMs), Math.trunc(expiresAtMs), Math.trunc(nextAtMs)];
        id = Number(
          this.#statements.insert.run(...request, kind, reason, attempts, leftOut, ...times, bytes)
            .lastInsertRowid,
        );
        this.#bounds.add(1, bytes);
        alongside(id);
      }),
    );
    return problem === null ? { id, problem } : { id: null, problem };
  }

  /** One letter; null when there is none. Throws StorageError. */
  byId(id: number): DeadLetter | null {
    const row = this.database.read(() => this.#statements.byId.get(id));
    return row && letterOf(row);
  }

  /** The oldest of a platform that waits for no person and is not too old, due or not. Throws StorageError. */
  next(platform: string, nowMs: number): DeadLetter | null {
    const row = this.database.read(() => this.#statements.next.get(platform, nowMs));
    return row && letterOf(row);
  }

  /** Platforms with letters that wait for no person. Throws StorageError. */
  platformsWaiting(): string[] {
    return this.database
      .read(() => this.#statements.platforms.values())
      .map(([platform]) => String(platform));
  }

  /** At most `most` of those that wait for no person and are not too old, the oldest after `afterId` first. Throws StorageError. */
  waitingAfter(afterId: number, nowMs: number, most: number): number[] {
    return this.database
      .read(() => this.#statements.waitingAfter.all(afterId, nowMs, most))
      .map(({ id }) => id);
  }

  /** Takes a waiting letter to redrive it. `changed` is 0 when it does not wait any more, or its time is over. */
  claim(id: number, nowMs: number): ChangeResult {
    return this.#change(() => this.#statements.claim.run(id, nowMs).changes);
  }

  /** To be written before the plugin gets the request. */
  markSent(id: number): ChangeResult {
    return this.#change(() => this.#statements.markSent.run(id).changes);
  }

  /** Ends a claim. */
  close(letter: DeadLetter, end: RedriveEnd): ChangeResult {
    const all = end.attempt === null ? letter.attempts : [...letter.attempts, end.attempt];
    const { text: attempts, leftOut } = attemptsText(all);
    const result = end.state === "answered" ? resultText(end.result ?? null) : null;
    const { idempotencyKey, type } = letter;
    const request = [JSON.stringify(letter.payload), JSON.stringify(letter.headers), idempotencyKey, type];
    const bytes = bytesOf(...request, letter.reason, attempts, result);
    return this.#change(() => {
      const { changes } = this.#statements.close.run(
        end.state,
        boundedText(end.reason),
        end.held ? 1 : 0,
        Math.trunc(end.nextAtMs),
        end.counts ? 1 : 0,
        attempts,
        letter.attemptsLeftOut + leftOut,
        result,
        end.state === "waiting" ? null : Math.trunc(end.atMs),
        bytes,
        letter.id,
      );
      if (changes > 0) this.#bounds.add(0, bytes - letter.bytes);
      return changes;
    });
  }

  /** Lets a letter that waits or is poison be redriven now, its redrives counted anew. */
  release(id: number, nowMs: number): ChangeResult {
    return this.#change(() => this.#statements.release.run(Math.trunc(nowMs), id).changes);
  }

  /** Gives up a letter that waits or is poison. */
  discard(id: number, nowMs: number): ChangeResult {
    return this.#change(() => this.#statements.discard.run(Math.trunc(nowMs), id).changes);
  }

  /** Marks at most 500 as expired, by platform, and removes at most 100 that are too old to keep. */
  sweep(nowMs: number): Map<string, number> {
    const expired = new Map<string, number>();
    const { problem } = this.#change(() => {
      expired.clear();
      for (const { platform } of this.#statements.expire.all(Math.trunc(nowMs)))
        expired.set(platform, (expired.get(platform) ?? 0) + 1);
      return this.#bounds.removeAged(nowMs);
    });
    return problem === null ? expired : new Map();
  }

  /** At the start, before anything is redriven: gives back the claims of a conductor that ended in the middle. */
  recover(nowMs: number, maxRedrives: number): Recovered {
    const unclosed = (set: string, condition: string) =>
      this.database.handle.run(
        `UPDATE dead_letters SET ${set}, sent = 0 WHERE state = 'redriving' AND ${condition}`,
      ).changes;
    const again = "state = 'waiting', state_reason = 'conductor ended during a redrive'";
    const recovered: Recovered = { waiting: 0, held: 0, poison: 0 };
    const write = () => {
      recovered.waiting = unclosed(again, "sent = 0");
      recovered.poison = unclosed(
        `state = 'poison', redrives = redrives + 1, closed_at_ms = ${Math.trunc(nowMs)},
         state_reason = 'conductor ended during each of its redrives, or they failed'`,
        `idempotent = 1 AND redrives + 1 >= ${Math.trunc(maxRedrives)}`,
      );
      recovered.waiting += unclosed(`${again}, redrives = redrives + 1`, "idempotent = 1");
      recovered.held = unclosed(
        `state = 'waiting', held = 1, redrives = redrives + 1, state_reason = 'conductor ended while the plugin had '
           || 'it: whether it was carried out is not known, so a person has to redrive or discard it'`,
        "true",
      );
      return 0;
    };
    this.#change(write);
    return recovered;
  }

  #change(write: () => number): ChangeResult {
    let changed = 0;
    const problem = this.#counted((undo) =>
      this.guard.attempt("dead_letters", "powerCut", () => {
        undo();
        changed = write();
      }),
    );
    return problem === null ? { changed, problem } : { changed: 0, problem };
  }

  /** Runs a write that counts; it calls `undo` first, since it is run a second time where the disk was full. */
  #counted(run: (undo: () => void) => WriteResult): WriteProblem | null {
    const undo = this.#bounds.remember();
    let done = false;
    try {
      const { problem } = run(undo);
      done = problem === null;
      return problem;
    } finally {
      if (!done) undo();
    }
  }
}
