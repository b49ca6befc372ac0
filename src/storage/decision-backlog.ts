/** Decisions that could not be written yet: kept in memory, bounded, in order, until the disk takes them. */

import type { DecisionRow } from "./decision-row.ts";

export interface Outcome {
  outcome: string;
  outcomeAtMs: number;
}

const sizeOf = (row: DecisionRow): number =>
  row.inputs.length +
  row.forecast.length +
  row.plan.length +
  row.actions.length +
  row.alternatives.length +
  row.plugins.length +
  row.reason.length +
  (row.outcome?.length ?? 0);

/** New decisions (a queue, oldest first) and outcomes of decisions that are on disk already. The oldest are lost first. */
export class DecisionBacklog {
  #rows: DecisionRow[] = [];
  #characters = 0;
  #lost = 0;
  readonly #outcomes = new Map<number, Outcome>();

  constructor(readonly limits = { decisions: 1_000, characters: 4 * 2 ** 20, outcomes: 1_000 }) {}

  /** Oldest first. */
  get rows(): readonly DecisionRow[] {
    return this.#rows;
  }

  get outcomes(): ReadonlyMap<number, Outcome> {
    return this.#outcomes;
  }

  get empty(): boolean {
    return this.#rows.length === 0 && this.#outcomes.size === 0;
  }

  /** Decisions and outcomes that the bounds threw away or the table refused, since the start. */
  get lost(): number {
    return this.#lost;
  }

  push(row: DecisionRow): void {
    this.#rows.push(row);
    this.#characters += sizeOf(row);
    while (this.#rows.length > this.limits.decisions || this.#characters > this.limits.characters)
      this.loseOldest();
  }

  /** Takes the oldest away for good, and counts it. */
  loseOldest(): void {
    this.drop(1);
    this.#lost++;
  }

  /** Takes the `count` oldest away: they are written. */
  drop(count: number): void {
    for (const row of this.#rows.slice(0, count)) this.#characters -= sizeOf(row);
    this.#rows = this.#rows.slice(count);
  }

  find(id: number): DecisionRow | undefined {
    return this.#rows.find((row) => row.id === id);
  }

  /** Adds the outcome to a decision that waits here too; false when it does not. */
  amend(id: number, outcome: Outcome): boolean {
    const row = this.find(id);
    if (row === undefined) return false;
    this.#characters -= sizeOf(row);
    Object.assign(row, outcome);
    this.#characters += sizeOf(row);
    return true;
  }

  pushOutcome(id: number, outcome: Outcome): void {
    this.#outcomes.set(id, outcome);
    const oldest = this.#outcomes.keys().next();
    if (this.#outcomes.size <= this.limits.outcomes || oldest.done) return;
    this.#outcomes.delete(oldest.value);
    this.#lost++;
  }

  dropOutcome(id: number): void {
    this.#outcomes.delete(id);
  }
}
