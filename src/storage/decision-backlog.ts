/** Decisions that could not be written yet: kept in memory, bounded, in order, until the disk takes them. */

import type { Loss } from "./decision-chain.ts";
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
  #loss: Loss | null = null;
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
    return this.#rows.length === 0 && this.#outcomes.size === 0 && this.#loss === null;
  }

  /** Decisions and outcomes that the bounds threw away or the table refused, since the start. */
  get lost(): number {
    return this.#lost;
  }

  /** What was lost and stands in no link of the chain yet. */
  get loss(): Loss | null {
    return this.#loss;
  }

  /** The chain says what was lost. */
  lossWritten(): void {
    this.#loss = null;
  }

  push(row: DecisionRow): void {
    this.#rows.push(row);
    this.#characters += sizeOf(row);
    while (this.#rows.length > this.limits.decisions || this.#characters > this.limits.characters)
      this.loseOldest();
  }

  /** Takes the oldest away for good, and counts it. */
  loseOldest(): void {
    const [oldest] = this.#rows;
    if (oldest === undefined) return;
    this.drop(1);
    this.#countLoss(oldest.id, { decisions: 1, outcomes: oldest.outcome === null ? 0 : 1 });
  }

  #countLoss(id: number, more: Pick<Loss, "decisions" | "outcomes">): void {
    const { firstId, lastId, decisions, outcomes } = this.#loss ?? {
      firstId: id,
      lastId: id,
      decisions: 0,
      outcomes: 0,
    };
    this.#loss = {
      firstId: Math.min(firstId, id),
      lastId: Math.max(lastId, id),
      decisions: decisions + more.decisions,
      outcomes: outcomes + more.outcomes,
    };
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
    this.#countLoss(oldest.value, { decisions: 0, outcomes: 1 });
  }

  dropOutcome(id: number): void {
    this.#outcomes.delete(id);
  }
}
