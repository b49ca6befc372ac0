/** Orders of a person to many dead letters: in steps, so that ten thousand of them do not keep everything else waiting. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import {
  type DeadLetterFilter,
  type FilterValues,
  filterCondition,
  filterValues,
} from "./dead-letter-filter.ts";
import type { ChangeResult } from "./dead-letters.ts";
import type { WriteGuard } from "./write-guard.ts";

type Step = Statement<{ id: number }, [...FilterValues, number, number]>;

/** Letters changed in one transaction: about 25 ms. */
const stepLetters = 500;

export class DeadLetterOrders {
  readonly #release: Step;
  readonly #discard: Step;

  constructor(
    database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    const step = (set: string, condition: string) =>
      database.prepare(
        `UPDATE dead_letters SET ${set} WHERE id IN (
           SELECT id FROM dead_letters INDEXED BY dead_letters_open
           WHERE state IN ('waiting', 'poison') AND id > ?6 AND ${condition} AND ${filterCondition}
           ORDER BY id LIMIT ${stepLetters}) RETURNING id`,
      ) as Step;
    this.#release = step(releasedAt("?5"), "expires_at_ms > ?5");
    this.#discard = step(discardedAt("?5"), "true");
  }

  /** Lets all that match be redriven now, their redrives counted anew. A problem ends it; what was changed stays so. */
  release(filter: DeadLetterFilter, nowMs: number): Promise<ChangeResult> {
    return this.#inSteps(this.#release, filter, nowMs);
  }

  /** Gives up all that match. A problem ends it; what was changed stays so. */
  discard(filter: DeadLetterFilter, nowMs: number): Promise<ChangeResult> {
    return this.#inSteps(this.#discard, filter, nowMs);
  }

  async #inSteps(statement: Step, filter: DeadLetterFilter, nowMs: number): Promise<ChangeResult> {
    let changed = 0;
    let afterId = 0;
    for (;;) {
      let ids: number[] = [];
      const { problem } = this.guard.attempt("dead_letters", "powerCut", () => {
        ids = statement.all(...filterValues(filter), Math.trunc(nowMs), afterId).map(({ id }) => id);
      });
      if (problem !== null) return { changed, problem };
      changed += ids.length;
      if (ids.length < stepLetters) return { changed, problem };
      afterId = Math.max(...ids);
      await new Promise(setImmediate);
    }
  }
}

/** What is set for a letter that is to be redriven now; `nowMs` is a parameter of the statement. */
export const releasedAt = (nowMs: string): string =>
  `state = 'waiting', held = 0, redrives = 0, next_at_ms = ${nowMs}, closed_at_ms = NULL, state_reason = 'asked for by hand'`;

/** What is set for a letter that is given up. */
export const discardedAt = (nowMs: string): string =>
  `state = 'discarded', held = 0, closed_at_ms = ${nowMs}, state_reason = 'discarded by hand'`;
