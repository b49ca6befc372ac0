/**
 * Events that a webhook did not take, kept to be delivered later. Every change is on the disk (synchronous=FULL) when its
 * call returns. An acknowledged letter is deleted; one that failed too often is poison and waits for a person.
 */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard, WriteProblem } from "./write-guard.ts";

export interface WebhookLetterDraft {
  /** When it was given up. */
  atMs: number;
  webhook: string;
  /** The same for each attempt, over restarts. */
  eventId: string;
  eventName: string;
  /** JSON, as it was posted. */
  body: string;
  reason: string;
  /** Made before it was given up. */
  attempts: number;
}

export interface WebhookLetter extends WebhookLetterDraft {
  id: number;
  /** Failed redrives that count. */
  redrives: number;
  /** Of the last redrive. */
  lastError: string | null;
  poison: boolean;
}

export interface WebhookLetterLimits {
  maxCount: number;
  maxBytes: number;
  maxAgeMs: number;
}

/** `lost`: letters that left by the bounds, or had no room themselves. */
export type KeepResult = { lost: number; problem: WriteProblem | null };
export type LetterChange = { changed: number; problem: WriteProblem | null };

const columns = `id, at_ms AS atMs, webhook, event_id AS eventId, event_name AS eventName, body, reason, attempts,
  redrives, last_error AS lastError, poison`;
type Row = Omit<WebhookLetter, "poison"> & { poison: number };
const letterOf = (row: Row): WebhookLetter => ({ ...row, poison: row.poison === 1 });

const mostReasonCharacters = 500;
/** What a row takes beside its texts. */
const rowBytes = 64;

const bytesOf = ({ webhook, eventId, eventName, body, reason }: WebhookLetterDraft): number =>
  rowBytes + Buffer.byteLength(webhook + eventId + eventName + body + reason);

export class WebhookLetters {
  readonly #insert: Statement;
  readonly #trim: Statement;
  readonly #aged: Statement;
  readonly #next: Statement<Row, [string, number]>;
  readonly #list: Statement<Row, [number]>;
  readonly #byId: Statement<Row, [number]>;
  readonly #held: Statement<{ count: number; bytes: number }, []>;
  readonly #remove: Statement;
  readonly #failed: Statement;
  readonly #release: Statement<{ webhook: string }, [string, string | null]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
    readonly limits: WebhookLetterLimits,
  ) {
    const prepare = <T>(sql: string) => database.prepare(sql) as T;
    const table = "webhook_dead_letters";
    this.#insert = prepare(
      `INSERT INTO ${table} (at_ms, webhook, event_id, event_name, body, reason, attempts, bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    // From the newest on, those that no longer fit.
    this.#trim = prepare(
      `DELETE FROM ${table} WHERE id IN (SELECT id FROM (
         SELECT id, row_number() OVER newest AS place, sum(bytes) OVER newest AS total
         FROM ${table} WINDOW newest AS (ORDER BY id DESC ROWS UNBOUNDED PRECEDING)) WHERE place > ? OR total > ?)`,
    );
    this.#aged = prepare(`DELETE FROM ${table} WHERE at_ms <= ?`);
    this.#next = prepare(
      `SELECT ${columns} FROM ${table} WHERE webhook = ? AND poison = 0 AND id > ? ORDER BY id LIMIT 1`,
    );
    this.#list = prepare(`SELECT ${columns} FROM ${table} ORDER BY id DESC LIMIT ?`);
    this.#byId = prepare(`SELECT ${columns} FROM ${table} WHERE id = ?`);
    this.#held = prepare(`SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM ${table}`);
    this.#remove = prepare(`DELETE FROM ${table} WHERE id = ?`);
    this.#failed = prepare(
      `UPDATE ${table} SET redrives = redrives + ?1, last_error = ?2, poison = redrives + ?1 >= ?3 WHERE id = ?4`,
    );
    this.#release = prepare(
      `UPDATE ${table} SET redrives = 0, poison = 0 WHERE webhook IN (SELECT value FROM json_each(?1))
         AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) RETURNING webhook`,
    );
  }

  /** False where the state is in memory: what is kept ends with the process. */
  get durable(): boolean {
    return this.database.path !== null;
  }

  /**
   * Keeps all of them, in this order; on the disk when this returns without a problem, else none is kept. The oldest
   * leave where the bounds are reached.
   */
  keep(drafts: readonly WebhookLetterDraft[]): KeepResult {
    const sized = drafts.map((draft) => ({ draft: bounded(draft), bytes: bytesOf(bounded(draft)) }));
    const fitting = sized.filter(({ bytes }) => bytes <= this.limits.maxBytes);
    let trimmed = 0;
    const { problem } = this.guard.attemptInFreeRoom("webhook_dead_letters", () => {
      for (const { draft, bytes } of fitting) this.#add(draft, bytes);
      trimmed = this.#trim.run(this.limits.maxCount, this.limits.maxBytes).changes;
    });
    return { lost: problem === null ? sized.length - fitting.length + trimmed : 0, problem };
  }

  #add({ atMs, webhook, eventId, eventName, body, reason, attempts }: WebhookLetterDraft, bytes: number) {
    this.#insert.run(Math.trunc(atMs), webhook, eventId, eventName, body, reason, attempts, bytes);
  }

  /** The oldest of a webhook after `afterId` that waits for no person. Throws StorageError. */
  next(webhook: string, afterId: number): WebhookLetter | null {
    const row = this.database.read(() => this.#next.get(webhook, afterId));
    return row && letterOf(row);
  }

  /** The newest first, of every webhook. Throws StorageError. */
  list(limit: number): WebhookLetter[] {
    return this.database.read(() => this.#list.all(limit)).map(letterOf);
  }

  /** Null when there is none. Throws StorageError. */
  byId(id: number): WebhookLetter | null {
    const row = this.database.read(() => this.#byId.get(id));
    return row && letterOf(row);
  }

  /** How many there are, and what they take. Throws StorageError. */
  held(): { count: number; bytes: number } {
    return this.database.read(() => this.#held.get()) ?? { count: 0, bytes: 0 };
  }

  /** It was acknowledged, or a person discards it. */
  remove(id: number): LetterChange {
    return this.#change(() => this.#remove.run(id).changes);
  }

  /** A redrive failed; one that `counts` brings the letter nearer to being poison, at `mostRedrives`. */
  failed(id: number, reason: string, counts: boolean, mostRedrives: number): LetterChange {
    const short = reason.slice(0, mostReasonCharacters);
    return this.#change(() => this.#failed.run(counts ? 1 : 0, short, mostRedrives, id).changes);
  }

  /** Lets letters of these webhooks be redriven, poison or not, their redrives counted anew; null: all of them. */
  release(
    webhooks: readonly string[],
    ids: readonly number[] | null,
  ): LetterChange & { webhooks: ReadonlySet<string> } {
    const chosen = ids === null ? null : JSON.stringify(ids);
    let released: string[] = [];
    const result = this.#change(() => {
      released = this.#release.all(JSON.stringify(webhooks), chosen).map(({ webhook }) => webhook);
      return released.length;
    });
    return { ...result, webhooks: new Set(result.problem === null ? released : []) };
  }

  /** Removes what is too old. */
  removeAged(nowMs: number): LetterChange {
    return this.#change(() => this.#aged.run(Math.trunc(nowMs - this.limits.maxAgeMs)).changes);
  }

  #change(write: () => number): LetterChange {
    let changed = 0;
    const { problem } = this.guard.attempt("webhook_dead_letters", "powerCut", () => {
      changed = write();
    });
    return { changed: problem === null ? changed : 0, problem };
  }
}

const bounded = (draft: WebhookLetterDraft): WebhookLetterDraft => ({
  ...draft,
  reason: draft.reason.slice(0, mostReasonCharacters),
});
