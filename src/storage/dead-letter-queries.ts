/** Reads dead letters for people: lists by page, exports, numbers by state. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import {
  type DeadLetterFilter,
  type FilterValues,
  filterCondition,
  filterValues,
} from "./dead-letter-filter.ts";
import {
  allColumns,
  type DeadLetter,
  type DeadLetterRow,
  type DeadLetterState,
  type DeadLetterSummary,
  type DeadLetterSummaryRow,
  deadLetterStates,
  letterOf,
  summaryColumns,
  summaryOf,
} from "./dead-letter-row.ts";

/** Newest first. `nextBeforeId` continues the list; null at its end. */
export interface DeadLetterPage {
  deadLetters: DeadLetterSummary[];
  nextBeforeId: number | null;
}

export interface DeadLetterListQuery extends DeadLetterFilter {
  /** 1..500; default 50. */
  limit?: number | undefined;
  /** Only letters older than this id. */
  beforeId?: number | undefined;
}

const mostListed = 500;

export class DeadLetterQueries {
  readonly #list: Statement<DeadLetterSummaryRow, [...FilterValues, number, number]>;
  readonly #after: Statement<DeadLetterRow, [...FilterValues, number, number]>;
  readonly #counts: Statement<{ state: DeadLetterState; held: number; letters: number }, []>;

  constructor(private readonly database: ConductorDatabase) {
    // Found in an index of its own: a scan of the table would read past every payload.
    const found = (range: string, order: string) =>
      `id IN (SELECT id FROM dead_letters INDEXED BY dead_letters_listed
         WHERE ${filterCondition} AND id ${range} ?5 ORDER BY id ${order} LIMIT ?6) ORDER BY id ${order}`;
    this.#list = database.prepare(
      `SELECT ${summaryColumns} FROM dead_letters WHERE ${found("<", "DESC")}`,
    ) as Statement<DeadLetterSummaryRow, [...FilterValues, number, number]>;
    this.#after = database.prepare(
      `SELECT ${allColumns} FROM dead_letters WHERE ${found(">", "ASC")}`,
    ) as Statement<DeadLetterRow, [...FilterValues, number, number]>;
    this.#counts = database.prepare(
      "SELECT state, held, count(*) AS letters FROM dead_letters GROUP BY state, held",
    ) as Statement<{ state: DeadLetterState; held: number; letters: number }, []>;
  }

  /** Letters without their payloads, the newest first. Throws StorageError. */
  list(query: DeadLetterListQuery = {}): DeadLetterPage {
    const limit = Math.min(mostListed, Math.max(1, Math.trunc(query.limit ?? 50) || 1));
    const beforeId = query.beforeId ?? Number.MAX_SAFE_INTEGER;
    const rows = this.database.read(() => this.#list.all(...filterValues(query), beforeId, limit));
    const nextBeforeId = rows.length === limit ? (rows.at(-1)?.id ?? null) : null;
    return { deadLetters: rows.map(summaryOf), nextBeforeId };
  }

  /** At most `limit` whole letters that come after `afterId`, oldest first: an export, piece by piece. Throws StorageError. */
  after(filter: DeadLetterFilter, afterId: number, limit: number): DeadLetter[] {
    return this.database
      .read(() => this.#after.all(...filterValues(filter), afterId, limit))
      .map((row) => letterOf(row));
  }

  /** Letters of each state; `held` are those of `waiting` that wait for a person. Throws StorageError. */
  counts(): Record<DeadLetterState | "held", number> {
    const counts = Object.fromEntries([...deadLetterStates, "held"].map((state) => [state, 0])) as Record<
      DeadLetterState | "held",
      number
    >;
    for (const { state, held, letters } of this.database.read(() => this.#counts.all())) {
      counts[state] += letters;
      if (held === 1) counts.held += letters;
    }
    return counts;
  }
}
