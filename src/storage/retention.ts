/** Old rows leave by age, and the oldest by size, in small steps, so that no tick stalls. */

import type { Statement } from "bun:sqlite";
import { statSync } from "node:fs";
import type { ConductorDatabase } from "./database.ts";
import type { DecisionChain } from "./decision-chain.ts";
import { pragmaNumber } from "./migrations.ts";
import type { WriteGuard } from "./write-guard.ts";

/** How long rows are kept. */
export interface RetentionAges {
  /** Samples and footprints. */
  samplesMs: number;
  /** integration_metrics. */
  metricsMs: number;
  decisionsMs: number;
}

export interface RetentionLimits {
  /** Bound of the rows' pages; above it the oldest samples, footprints and metrics leave before their age. */
  maxBytes: number;
  /** Rows that one step deletes of each table. A tick adds one sample and a row a plugin, so this catches up. */
  batchRows: number;
}

export interface SizeReport {
  /** The file, or the pages in memory. */
  databaseBytes: number;
  /** Inside it, free for new rows. */
  freeBytes: number;
  walBytes: number;
}

export interface RetentionStep {
  deletedRows: number;
  /** Null when it could not be read. */
  size: SizeReport | null;
}

/** Free pages given back to the file system in one step: 1 MiB. */
const vacuumPages = 256;
/** SQLite checkpoints at 4 MB by itself, but does not shrink the log while someone reads; over this it is asked to. */
const walCheckpointBytes = 8 * 2 ** 20;

/** The tables keyed (name, time), walked one name at a time: their key has no order of time over all names. */
const keyedTables = {
  footprints: { name: "plugin", time: "at_ms" },
  integration_metrics: { name: "platform_name", time: "timestamp" },
} as const;

/** Each name that is in the table, found by one look into the key for each: no scan. */
const distinctNames = (table: string, name: string): string =>
  `WITH RECURSIVE names (name) AS (
     SELECT min(${name}) FROM ${table}
     UNION ALL SELECT (SELECT min(${name}) FROM ${table} WHERE ${name} > names.name) FROM names
       WHERE names.name IS NOT NULL)
   SELECT name FROM names WHERE name IS NOT NULL`;

/**
 * The last of the first `batch` decisions that may go: it is too old, and all before it are too, or are of the future: those
 * were taken while the clock was wrong, and are no younger than what follows them. "+": walk by id, and stop at the first.
 */
const oldDecisions = (batch: number): string =>
  `SELECT max(id) AS throughId FROM (
     SELECT id, at_ms FROM decisions
     WHERE id < ifnull((SELECT id FROM decisions WHERE +at_ms BETWEEN ? AND ? ORDER BY id LIMIT 1), 1 << 62)
     ORDER BY id LIMIT ${batch})
   WHERE +at_ms < ?`;

interface KeyedStatements {
  names: Statement;
  remove: Statement;
  oldest: Statement;
}

export class Retention {
  readonly #keyed: Record<keyof typeof keyedTables, KeyedStatements>;
  readonly #samples: Statement;
  readonly #oldDecisions: Statement<{ throughId: number | null }, [number, number, number]>;
  readonly #removeDecisions: Statement;
  readonly #nthOldest: Statement;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
    private readonly chain: DecisionChain,
    private readonly ages: RetentionAges,
    private readonly limits: RetentionLimits,
  ) {
    const batch = limits.batchRows;
    this.#samples = database.prepare(`DELETE FROM samples WHERE at_ms < ? ORDER BY at_ms LIMIT ${batch}`);
    this.#oldDecisions = database.prepare(oldDecisions(batch)) as Statement<
      { throughId: number | null },
      [number, number, number]
    >;
    this.#removeDecisions = database.prepare("DELETE FROM decisions WHERE id <= ?");
    this.#nthOldest = database.prepare(
      `SELECT max(at_ms) FROM (SELECT at_ms FROM samples ORDER BY at_ms LIMIT ${batch})`,
    );
    this.#keyed = {
      footprints: this.#prepareKeyed("footprints"),
      integration_metrics: this.#prepareKeyed("integration_metrics"),
    };
  }

  /** One small step: at most `batchRows` a table by age and as many by size, 1 MiB given back, the log kept short. */
  step(nowMs: number): RetentionStep {
    let deletedRows = 0;
    let size: SizeReport | null = null;
    this.guard.attempt("retention", "crash", () => {
      deletedRows = this.#byAge(nowMs);
      if (this.#usedBytes() > this.limits.maxBytes) deletedRows += this.#bySize();
    });
    this.guard.run("retention", () => {
      this.database.read(() => this.#giveBack());
      size = this.size();
    });
    return { deletedRows, size };
  }

  /** What the database takes now. Throws StorageError. */
  size(): SizeReport {
    const { handle, path } = this.database;
    return this.database.read(() => {
      const pageBytes = pragmaNumber(handle, "page_size");
      return {
        databaseBytes: pragmaNumber(handle, "page_count") * pageBytes,
        freeBytes: pragmaNumber(handle, "freelist_count") * pageBytes,
        walBytes: path === null ? 0 : (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0),
      };
    });
  }

  #prepareKeyed(table: keyof typeof keyedTables): KeyedStatements {
    const { name, time } = keyedTables[table];
    const batch = this.limits.batchRows;
    return {
      names: this.database.prepare(distinctNames(table, name)),
      remove: this.database.prepare(
        `DELETE FROM ${table} WHERE ${name} = ? AND ${time} < ? ORDER BY ${time} LIMIT ${batch}`,
      ),
      oldest: this.database.prepare(
        `SELECT max(${time}) FROM (SELECT ${time} FROM ${table} WHERE ${name} = ? ORDER BY ${time} LIMIT ${batch})`,
      ),
    };
  }

  #byAge(nowMs: number): number {
    return (
      this.#samples.run(nowMs - this.ages.samplesMs).changes +
      this.#removeKeyed("footprints", () => nowMs - this.ages.samplesMs) +
      this.#removeKeyed("integration_metrics", () => nowMs - this.ages.metricsMs) +
      this.#oldestDecisions(nowMs)
    );
  }

  /** The chain loses links at its beginning only, and says which. */
  #oldestDecisions(nowMs: number): number {
    const untilMs = nowMs - this.ages.decisionsMs;
    const throughId = this.#oldDecisions.get(untilMs, nowMs, untilMs)?.throughId ?? null;
    if (throughId === null) return 0;
    const { changes } = this.#removeDecisions.run(throughId);
    this.chain.removed(throughId);
    return changes;
  }

  /** The oldest batch of everything but decisions: those explain, are few, and stay for their whole age. */
  #bySize(): number {
    const until = Number(this.#nthOldest.values()[0]?.[0] ?? 0);
    const oldestOf = (table: keyof typeof keyedTables) => (name: string) =>
      Number(this.#keyed[table].oldest.values(name)[0]?.[0] ?? 0) + 1;
    return (
      this.#samples.run(until + 1).changes +
      this.#removeKeyed("footprints", oldestOf("footprints")) +
      this.#removeKeyed("integration_metrics", oldestOf("integration_metrics"))
    );
  }

  #removeKeyed(table: keyof typeof keyedTables, beforeMs: (name: string) => number): number {
    const { names, remove } = this.#keyed[table];
    let removed = 0;
    for (const [name] of names.values()) removed += remove.run(String(name), beforeMs(String(name))).changes;
    return removed;
  }

  #usedBytes(): number {
    const { databaseBytes, freeBytes } = this.size();
    return databaseBytes - freeBytes;
  }

  #giveBack(): void {
    const { handle, path } = this.database;
    const { freeBytes, walBytes } = this.size();
    if (freeBytes > 2 ** 20) handle.query(`PRAGMA incremental_vacuum(${vacuumPages})`).all();
    // A reader in the way makes this answer "busy" and nothing worse; the next step asks again.
    if (path !== null && walBytes > walCheckpointBytes)
      handle.query("PRAGMA wal_checkpoint(TRUNCATE)").values();
  }
}
