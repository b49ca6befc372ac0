/**
 * The audit: every decision with what led to it and what came of it. Written through to the disk (synchronous=FULL), and
 * linked into the chain in the same transaction.
 */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import { DecisionBacklog } from "./decision-backlog.ts";
import type { DecisionChain, Head } from "./decision-chain.ts";
import {
  asJsonText,
  type DecisionDraft,
  type DecisionRecord,
  type DecisionRow,
  recordOf,
  rowOf,
  type UnreadableDecision,
} from "./decision-row.ts";
import type { WriteGuard } from "./write-guard.ts";

/** Newest first. `nextBeforeId` continues the list; null at its end. */
export interface DecisionPage {
  decisions: DecisionRecord[];
  unreadable: UnreadableDecision[];
  nextBeforeId: number | null;
}

/** Oldest first. `nextAfterId` continues it; null at its end. */
export interface DecisionRun {
  decisions: DecisionRecord[];
  unreadable: UnreadableDecision[];
  nextAfterId: number | null;
}

export interface DecisionQuery {
  /** 1..500; default 50. */
  limit?: number | undefined;
  /** Only decisions older than this id. */
  beforeId?: number | undefined;
  plugin?: string | undefined;
}

const mostListed = 500;
/** Waiting decisions written in one transaction: a part of them may fit on the disk where all do not. */
const flushChunk = 50;

export const decisionColumns = `id, at_ms AS atMs, policy, rule, reason, inputs, forecast, plan, actions, alternatives, plugins,
  outcome, outcome_at_ms AS outcomeAtMs, hash`;

/** What can be read, and what cannot and why. */
function checked(rows: readonly DecisionRow[]): Pick<DecisionPage, "decisions" | "unreadable"> {
  const found: Pick<DecisionPage, "decisions" | "unreadable"> = { decisions: [], unreadable: [] };
  for (const row of rows) {
    const record = recordOf(row);
    if (typeof record === "string") found.unreadable.push({ id: row.id, problem: record });
    else found.decisions.push(record);
  }
  return found;
}

export class Decisions {
  readonly #backlog: DecisionBacklog;
  readonly #insert: Statement;
  readonly #insertPlugin: Statement;
  readonly #setOutcome: Statement;
  readonly #byId: Statement<DecisionRow, [number]>;
  readonly #list: Statement<DecisionRow, [number, number]>;
  readonly #listByPlugin: Statement<DecisionRow, [string, number, number]>;
  readonly #following: Statement<DecisionRow, [number, number, number]>;
  #nextId: number;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
    private readonly chain: DecisionChain,
    backlog = new DecisionBacklog(),
  ) {
    this.#backlog = backlog;
    this.#insert = database.prepare(
      `INSERT INTO decisions (id, at_ms, policy, rule, reason, inputs, forecast, plan, actions, alternatives, plugins,
         outcome, outcome_at_ms, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#insertPlugin = database.prepare("INSERT INTO decision_plugins (plugin, decision_id) VALUES (?, ?)");
    this.#setOutcome = database.prepare("UPDATE decisions SET outcome = ?, outcome_at_ms = ? WHERE id = ?");
    this.#byId = database.prepare(`SELECT ${decisionColumns} FROM decisions WHERE id = ?`) as Statement<
      DecisionRow,
      [number]
    >;
    this.#list = database.prepare(
      `SELECT ${decisionColumns} FROM decisions WHERE id < ? ORDER BY id DESC LIMIT ?`,
    ) as Statement<DecisionRow, [number, number]>;
    this.#listByPlugin = database.prepare(
      `SELECT ${decisionColumns} FROM decisions
       WHERE id IN (SELECT decision_id FROM decision_plugins WHERE plugin = ? AND decision_id < ?
         ORDER BY decision_id DESC LIMIT ?) ORDER BY id DESC`,
    ) as Statement<DecisionRow, [string, number, number]>;
    this.#following = database.prepare(
      `SELECT ${decisionColumns} FROM decisions WHERE id > ? AND +at_ms >= ? ORDER BY id LIMIT ?`,
    ) as Statement<DecisionRow, [number, number, number]>;
    this.#nextId = chain.newestId() + 1;
  }

  /** Decisions that wait in memory for the disk. */
  get waiting(): number {
    return this.#backlog.rows.length + this.#backlog.outcomes.size;
  }

  /** Decisions and outcomes that the bound of the backlog threw away, or that the table refused. */
  get lost(): number {
    return this.#backlog.lost;
  }

  /** The newest link of the chain; null while nothing is chained. Throws StorageError. */
  get head(): Head | null {
    return this.chain.head();
  }

  /**
   * Records a decision and returns its id, which no other one ever had. On disk when this returns, unless writing fails:
   * then it waits in memory (at most 1,000 decisions, 4 Mi characters) and is found by every query all the same.
   */
  append(draft: DecisionDraft): number {
    const id = this.#nextId++;
    this.#backlog.push(rowOf(id, draft));
    this.flush();
    return id;
  }

  /** Adds what came of decision `id` (once more: replaces it). */
  setOutcome(id: number, outcome: unknown, outcomeAtMs: number): void {
    const text = { outcome: asJsonText(outcome), outcomeAtMs };
    if (!this.#backlog.amend(id, text)) this.#backlog.pushOutcome(id, text);
    this.flush();
  }

  /** Tries to write what waits; one failed attempt ends it. True when nothing waits any more. */
  flush(): boolean {
    if (!this.#flushLoss()) return false;
    while (this.#backlog.rows.length > 0) if (!this.#flushRows()) return false;
    if (this.#backlog.outcomes.size > 0) this.#flushOutcomes();
    return this.#flushLoss() && this.#backlog.empty;
  }

  /** One decision; null when there is none; a string says why its row cannot be read. Throws StorageError. */
  byId(id: number): DecisionRecord | string | null {
    const row = this.#backlog.find(id) ?? this.database.read(() => this.#byId.get(id));
    return row === null ? null : recordOf(this.#withOutcome(row));
  }

  /** Decisions newest first, of all plugins or of one. Throws StorageError. */
  list(query: DecisionQuery = {}): DecisionPage {
    const limit = Math.min(mostListed, Math.max(1, Math.trunc(query.limit ?? 50) || 1));
    const beforeId = query.beforeId ?? Number.MAX_SAFE_INTEGER;
    const rows = this.#waitingBefore(beforeId, query.plugin).slice(0, limit);
    if (rows.length < limit) rows.push(...this.#stored(beforeId, limit - rows.length, query.plugin));
    const page: DecisionPage = {
      ...checked(rows.map((row) => this.#withOutcome(row))),
      nextBeforeId: null,
    };
    if (rows.length === limit) page.nextBeforeId = rows.at(-1)?.id ?? null;
    return page;
  }

  /** Decisions on disk of `fromMs` or later, oldest first, from the one after `afterId` on. Throws StorageError. */
  following(afterId: number, fromMs: number, limit: number): DecisionRun {
    const rows = this.database.read(() => this.#following.all(afterId, fromMs, limit));
    const run: DecisionRun = { ...checked(rows), nextAfterId: null };
    if (rows.length === limit) run.nextAfterId = rows.at(-1)?.id ?? null;
    return run;
  }

  /** The chain says what is missing before it goes on. */
  #flushLoss(): boolean {
    const { loss } = this.#backlog;
    if (loss === null) return true;
    const written = this.#write(() => this.chain.lost(loss));
    if (written === "done") this.#backlog.lossWritten();
    return written !== "failed";
  }

  #flushRows(): boolean {
    const chunk = this.#backlog.rows.slice(0, flushChunk);
    const written = this.#write(() => {
      for (const row of chunk) this.#insertRow(row);
    });
    if (written === "done") this.#backlog.drop(chunk.length);
    else if (chunk.length > 1) return this.#flushOldest();
    else if (written === "refused") this.#backlog.loseOldest();
    return written !== "failed";
  }

  /** One decision alone: smaller than a chunk, so it may still fit; and one that is refused does not block the others. */
  #flushOldest(): boolean {
    const [oldest] = this.#backlog.rows;
    if (oldest === undefined) return true;
    const written = this.#write(() => this.#insertRow(oldest));
    if (written === "done") this.#backlog.drop(1);
    else if (written === "refused") this.#backlog.loseOldest();
    return written !== "failed";
  }

  #flushOutcomes(): void {
    const outcomes = [...this.#backlog.outcomes];
    const written = this.#write(() => {
      for (const [id, { outcome, outcomeAtMs }] of outcomes) {
        // Retention may have been faster: what came of a row that is gone is no part of the record.
        const { changes } = this.#setOutcome.run(outcome, outcomeAtMs, id);
        if (changes > 0) this.chain.outcome(id, outcome, outcomeAtMs);
      }
    });
    if (written !== "failed") for (const [id] of outcomes) this.#backlog.dropOutcome(id);
  }

  #write(write: () => void): "done" | "refused" | "failed" {
    const { problem } = this.guard.attempt("decisions", "powerCut", write);
    if (problem === null) return "done";
    return problem.code === "STORAGE_ROW_REFUSED" ? "refused" : "failed";
  }

  #insertRow(row: DecisionRow): void {
    this.#insert.run(
      row.id,
      row.atMs,
      row.policy,
      row.rule,
      row.reason,
      row.inputs,
      row.forecast,
      row.plan,
      row.actions,
      row.alternatives,
      row.plugins,
      row.outcome,
      row.outcomeAtMs,
      this.chain.decision(row),
    );
    if (row.outcome !== null) this.chain.outcome(row.id, row.outcome, row.outcomeAtMs);
    for (const plugin of JSON.parse(row.plugins) as string[]) this.#insertPlugin.run(plugin, row.id);
  }

  /** Waiting ids are newer than any stored one, since the queue is written in order. */
  #waitingBefore(beforeId: number, plugin: string | undefined): DecisionRow[] {
    return this.#backlog.rows
      .filter((row) => row.id < beforeId)
      .filter((row) => plugin === undefined || (JSON.parse(row.plugins) as string[]).includes(plugin))
      .reverse();
  }

  #stored(beforeId: number, limit: number, plugin: string | undefined): DecisionRow[] {
    return this.database.read(() =>
      plugin === undefined
        ? this.#list.all(beforeId, limit)
        : this.#listByPlugin.all(plugin, beforeId, limit),
    );
  }

  #withOutcome(row: DecisionRow): DecisionRow {
    const waiting = this.#backlog.outcomes.get(row.id);
    return waiting === undefined ? row : { ...row, ...waiting };
  }
}
