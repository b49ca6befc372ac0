/**
 * The answers to requests that name an idempotency key, so that a duplicate gets the same one.
 *
 *   reserve ──▶ under way ──finish──▶ answered ── too old, or room is needed ──▶ gone
 *                   └──forget (it was refused)──▶ gone
 *
 * The answer is on the disk (synchronous=FULL) before the client has it. What is under way at a crash is forgotten at the next
 * start: a duplicate is then carried out.
 */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard, WriteProblem } from "./write-guard.ts";

export interface IdempotencyLimits {
  maxKeys: number;
  /** Of all answers together. */
  maxBytes: number;
  ttlMs: number;
}

export interface KeptKey {
  bodyHash: string;
  /** JSON; null while it is under way. */
  answer: string | null;
}

interface KeptRow extends KeptKey {
  atMs: number;
}

/** What a row takes beside key and answer, about. */
const rowBytes = 200;
/** Removed in one step by age. */
const batch = 100;

export class IdempotencyKeys {
  readonly #byKey: Statement<KeptRow, [string]>;
  readonly #insert: Statement;
  readonly #finish: Statement;
  readonly #remove: Statement;
  readonly #aged: Statement<{ bytes: number }, [number]>;
  readonly #oldest: Statement<{ bytes: number }, []>;
  #count = 0;
  #bytes = 0;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
    readonly limits: IdempotencyLimits,
  ) {
    this.#byKey = database.prepare(
      "SELECT body_hash AS bodyHash, at_ms AS atMs, answer FROM idempotency_keys WHERE key = ?",
    ) as Statement<KeptRow, [string]>;
    this.#insert = database.prepare(
      "INSERT INTO idempotency_keys (key, body_hash, at_ms, bytes) VALUES (?, ?, ?, ?)",
    );
    this.#finish = database.prepare(
      "UPDATE idempotency_keys SET answer = ?, bytes = bytes + ? WHERE key = ? AND answer IS NULL",
    );
    this.#remove = database.prepare("DELETE FROM idempotency_keys WHERE key = ? RETURNING bytes");
    this.#aged = database.prepare(
      `DELETE FROM idempotency_keys WHERE id IN (SELECT id FROM idempotency_keys WHERE answer IS NOT NULL
         ORDER BY id LIMIT ${batch}) AND at_ms <= ? RETURNING bytes`,
    ) as Statement<{ bytes: number }, [number]>;
    this.#oldest = database.prepare(
      `DELETE FROM idempotency_keys WHERE id = (SELECT min(id) FROM idempotency_keys WHERE answer IS NOT NULL)
       RETURNING bytes`,
    ) as Statement<{ bytes: number }, []>;
    this.#countRows();
  }

  get count(): number {
    return this.#count;
  }

  /** What is kept under `key`; null when nothing is, or it is too old. Throws StorageError. */
  find(key: string, nowMs: number): KeptKey | null {
    const row = this.database.read(() => this.#byKey.get(key));
    if (row === null || (row.answer !== null && row.atMs <= nowMs - this.limits.ttlMs)) return null;
    return { bodyHash: row.bodyHash, answer: row.answer };
  }

  /** Takes `key` for a request that is about to be sent; null when that is done, else why the key cannot be kept. */
  reserve(key: string, bodyHash: string, nowMs: number): WriteProblem | null {
    const bytes = Buffer.byteLength(key) + bodyHash.length + rowBytes;
    return this.#write("crash", () => {
      this.#less(this.#remove.all(key));
      this.#less(this.#aged.all(nowMs - this.limits.ttlMs));
      while (this.#count >= this.limits.maxKeys && this.#less(this.#oldest.all()) > 0);
      this.#insert.run(key, bodyHash, Math.trunc(nowMs), bytes);
      this.#count++;
      this.#bytes += bytes;
    });
  }

  /** Keeps the answer, JSON; null when that is done. */
  finish(key: string, answer: string): WriteProblem | null {
    return this.#write("powerCut", () => this.finishWithin(key, answer));
  }

  /** As `finish`, within a transaction that is under way. */
  finishWithin(key: string, answer: string): void {
    const bytes = Buffer.byteLength(answer);
    if (this.#finish.run(answer, bytes, key).changes === 0) return;
    this.#bytes += bytes;
    while (this.#bytes > this.limits.maxBytes && this.#less(this.#oldest.all()) > 0);
  }

  /** Gives the key back: the request was refused, and may be sent again. */
  forget(key: string): WriteProblem | null {
    return this.#write("powerCut", () => void this.#less(this.#remove.all(key)));
  }

  /** At the start: what was under way when conductor ended belongs to nobody. */
  forgetUnfinished(): WriteProblem | null {
    return this.#write("powerCut", () => {
      this.database.handle.run("DELETE FROM idempotency_keys WHERE answer IS NULL");
      this.#countRows();
    });
  }

  #countRows(): void {
    const [row = []] = this.database.read(() =>
      this.database.handle.query("SELECT count(*), coalesce(sum(bytes), 0) FROM idempotency_keys").values(),
    );
    this.#count = Number(row[0]);
    this.#bytes = Number(row[1]);
  }

  /** Subtracts rows that were removed; their number. */
  #less(removed: readonly unknown[]): number {
    for (const { bytes } of removed as { bytes: number }[]) this.#bytes -= bytes;
    this.#count -= removed.length;
    return removed.length;
  }

  #write(durability: "crash" | "powerCut", write: () => void): WriteProblem | null {
    const [count, bytes] = [this.#count, this.#bytes];
    const undo = () => {
      this.#count = count;
      this.#bytes = bytes;
    };
    // Where the disk was full it is run a second time, and counts once.
    const { problem } = this.guard.attempt("idempotency_keys", durability, () => {
      undo();
      write();
    });
    if (problem !== null) undo();
    return problem;
  }
}
