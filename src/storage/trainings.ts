/** When and why the adaptive forecast was trained anew, or began anew in part: the record of its changes. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard } from "./write-guard.ts";

export interface TrainingRow {
  atMs: number;
  /** start, state, schedule, drift, budget, clock, … */
  trigger: string;
  /** In words. */
  reason: string;
  /** Whether the forecast goes on with it: 1, or 0 when it goes on as it was. */
  adopted: number;
  /** Points it was trained on. */
  points: number;
  /** Usual absolute error before and after, percent of the budget; null while unknown. */
  errorBefore: number | null;
  errorAfter: number | null;
}

/** More than this are not kept: two years of one a day. */
const mostRows = 730;

export class Trainings {
  readonly #insert: Statement;
  readonly #trim: Statement;
  readonly #latest: Statement<TrainingRow, [number]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    this.#insert = database.prepare(
      `INSERT INTO forecast_trainings (at_ms, cause, reason, adopted, points, error_before, error_after)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#trim = database.prepare(
      `DELETE FROM forecast_trainings WHERE id <= (SELECT max(id) FROM forecast_trainings) - ${mostRows}`,
    );
    this.#latest = database.prepare(
      `SELECT at_ms AS atMs, cause AS trigger, reason, adopted, points, error_before AS errorBefore,
         error_after AS errorAfter FROM forecast_trainings ORDER BY id DESC LIMIT ?`,
    ) as Statement<TrainingRow, [number]>;
  }

  /** False: it was dropped. */
  insert({ atMs, trigger, reason, adopted, points, errorBefore, errorAfter }: TrainingRow): boolean {
    const write = () => {
      this.#insert.run(atMs, trigger, reason, adopted, points, errorBefore, errorAfter);
      this.#trim.run();
    };
    return this.guard.attempt("trainings", "crash", write).problem === null;
  }

  /** The newest first. Throws StorageError. */
  latest(limit: number): TrainingRow[] {
    return this.database.read(() =>
      this.#latest.all(Math.min(mostRows, Math.max(0, Math.trunc(limit) || 0))),
    );
  }
}
