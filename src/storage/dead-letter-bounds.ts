/** How much the dead letters may take: by number and bytes the oldest leave for a new one, by age each in its time. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";

export interface DeadLetterLimits {
  maxCount: number;
  maxBytes: number;
  /** From then on a letter is not kept, whatever its state. */
  maxAgeMs: number;
}

/** What left by the bounds since the start: `lost` were still to be answered, `finished` were not. */
export interface LeftByBounds {
  lost: number;
  finished: number;
}

interface Oldest {
  id: number;
  state: string;
  bytes: number;
}

/** Looked at in one step. */
const batch = 100;

/** Counts rows and bytes of the table, so that no insert has to. All of it runs inside the caller's transaction. */
export class DeadLetterBounds {
  readonly left: LeftByBounds = { lost: 0, finished: 0 };
  #count: number;
  #bytes: number;
  readonly #finished: Statement<Oldest, [number]>;
  readonly #open: Statement<Oldest, [number]>;
  readonly #aged: Statement<Oldest, [number, number]>;
  readonly #remove: Statement;

  constructor(
    database: ConductorDatabase,
    readonly limits: DeadLetterLimits,
  ) {
    const oldest = (index: string, condition: string, order = "id") =>
      database.prepare(
        `SELECT id, state, bytes FROM dead_letters INDEXED BY ${index} WHERE ${condition} ORDER BY ${order} LIMIT ?`,
      );
    this.#finished = oldest(
      "dead_letters_finished",
      "state IN ('answered', 'discarded', 'expired')",
    ) as Statement<Oldest, [number]>;
    this.#open = oldest("dead_letters_open", "state IN ('waiting', 'poison')") as Statement<Oldest, [number]>;
    this.#aged = oldest(
      "dead_letters_by_time",
      "parked_at_ms <= ? AND state <> 'redriving'",
      "parked_at_ms",
    ) as Statement<Oldest, [number, number]>;
    this.#remove = database.prepare("DELETE FROM dead_letters WHERE id = ?");
    const [row = []] = database.read(() =>
      database.handle.query("SELECT count(*), coalesce(sum(bytes), 0) FROM dead_letters").values(),
    );
    this.#count = Number(row[0]);
    this.#bytes = Number(row[1]);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What the totals were, for a transaction that fails. */
  remember(): () => void {
    const [count, bytes, lost, finished] = [this.#count, this.#bytes, this.left.lost, this.left.finished];
    return () => {
      this.#count = count;
      this.#bytes = bytes;
      Object.assign(this.left, { lost, finished });
    };
  }

  /** A row was added (`count` 1), or one changed its size (0). */
  add(count: number, bytes: number): void {
    this.#count += count;
    this.#bytes += bytes;
  }

  /** Removes the oldest until one of `bytes` has room: the finished ones first, never one that is being redriven. */
  makeRoom(bytes: number): void {
    const fits = () => this.#count < this.limits.maxCount && this.#bytes + bytes <= this.limits.maxBytes;
    for (const candidates of [this.#finished, this.#open]) {
      while (!fits()) {
        const oldest = candidates.all(batch);
        if (oldest.length === 0) break;
        for (const row of oldest) if (!fits()) this.#take(row);
      }
    }
  }

  /** Removes what is too old, at most 100; the number. */
  removeAged(nowMs: number): number {
    const aged = this.#aged.all(nowMs - this.limits.maxAgeMs, batch);
    for (const row of aged) this.#take(row);
    return aged.length;
  }

  #take({ id, state, bytes }: Oldest): void {
    this.#remove.run(id);
    this.add(-1, -bytes);
    this.left[state === "waiting" || state === "poison" ? "lost" : "finished"]++;
  }
}
