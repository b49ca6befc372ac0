/**
 * The schema, as the steps that lead to it. Forward only: an entry that was released is never changed, a new one is
 * appended. `user_version` counts the entries applied; `application_id` marks the file as conductor's.
 */

import type { Database } from "bun:sqlite";
import {
  asStorageError,
  MigrationError,
  NewerDatabaseError,
  RowRefusedError,
  StorageError,
} from "./errors.ts";

export interface Migration {
  /** What it adds, for the error that names it. */
  name: string;
  sql: string;
}

/** "CNDR" as a 32-bit number. */
export const applicationId = 0x434e4452;

export const migrations: readonly Migration[] = [
  {
    name: "meta and samples",
    // One row a sample, one column a series. Measured against a narrow table keyed (series, t), 16 series, a week:
    // 3.2 MB against 7.2, 25 us a tick against 182, all series of 24 hours in 1.5 ms against 7.
    sql: `
      CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE samples (
        at_ms INTEGER PRIMARY KEY,
        memory_used_bytes INTEGER, memory_budget_bytes INTEGER,
        cpu_percent REAL,
        swap_used_bytes INTEGER, swap_total_bytes INTEGER,
        disk_used_percent REAL, disk_free_bytes INTEGER,
        load1 REAL, load5 REAL, load15 REAL,
        psi_memory_some_percent REAL, psi_memory_full_percent REAL,
        psi_cpu_some_percent REAL, psi_io_some_percent REAL, psi_io_full_percent REAL
      );`,
  },
  {
    name: "footprints",
    sql: `
      CREATE TABLE footprints (
        plugin TEXT NOT NULL, at_ms INTEGER NOT NULL, bytes INTEGER NOT NULL, method TEXT NOT NULL,
        PRIMARY KEY (plugin, at_ms)
      ) WITHOUT ROWID;`,
  },
  {
    name: "decisions",
    // AUTOINCREMENT: the id of a decision that retention removed is never given to another one.
    sql: `
      CREATE TABLE decisions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        policy TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL,
        inputs TEXT NOT NULL, forecast TEXT NOT NULL, plan TEXT NOT NULL,
        actions TEXT NOT NULL, alternatives TEXT NOT NULL, plugins TEXT NOT NULL,
        outcome TEXT, outcome_at_ms INTEGER
      );
      CREATE INDEX decisions_by_time ON decisions (at_ms);
      CREATE TABLE decision_plugins (
        plugin TEXT NOT NULL,
        decision_id INTEGER NOT NULL REFERENCES decisions (id) ON DELETE CASCADE,
        PRIMARY KEY (plugin, decision_id)
      ) WITHOUT ROWID;
      CREATE INDEX decision_plugins_by_decision ON decision_plugins (decision_id);`,
  },
  {
    name: "integration_metrics",
    sql: `
      CREATE TABLE integration_metrics (
        timestamp INTEGER NOT NULL, platform_name TEXT NOT NULL,
        response_time_ms REAL, error_count INTEGER NOT NULL, request_count INTEGER NOT NULL,
        resource_usage_mb REAL,
        PRIMARY KEY (platform_name, timestamp)
      ) WITHOUT ROWID;`,
  },
  {
    name: "forecast_trainings",
    sql: `
      CREATE TABLE forecast_trainings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL, cause TEXT NOT NULL, reason TEXT NOT NULL, adopted INTEGER NOT NULL,
        points INTEGER NOT NULL, error_before REAL, error_after REAL
      );`,
  },
  {
    name: "breakers",
    sql: `
      CREATE TABLE breakers (
        platform TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, state TEXT NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE breaker_moves (
        platform TEXT NOT NULL, id INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        from_state TEXT NOT NULL, to_state TEXT NOT NULL, reason TEXT NOT NULL, moved_by TEXT NOT NULL,
        PRIMARY KEY (platform, id)
      ) WITHOUT ROWID;`,
  },
  {
    name: "dead_letters",
    // What may be large comes last, so that a scan need not walk through it. The indexes answer, without one: what is next,
    // how many of each state, what is too old, what leaves first.
    sql: `
      CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        platform TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, held INTEGER NOT NULL DEFAULT 0,
        parked_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL, next_at_ms INTEGER NOT NULL,
        closed_at_ms INTEGER, redrives INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0,
        idempotent INTEGER NOT NULL, bytes INTEGER NOT NULL, attempts_left_out INTEGER NOT NULL DEFAULT 0,
        request_id TEXT NOT NULL, type TEXT NOT NULL, idempotency_key TEXT,
        reason TEXT NOT NULL, state_reason TEXT NOT NULL, headers TEXT NOT NULL,
        attempts TEXT NOT NULL, payload TEXT NOT NULL, result TEXT
      );
      CREATE INDEX dead_letters_by_state ON dead_letters (state, held, platform, id);
      CREATE INDEX dead_letters_listed ON dead_letters (id, platform, kind, state, parked_at_ms);
      CREATE INDEX dead_letters_open ON dead_letters (id) WHERE state IN ('waiting', 'poison');
      CREATE INDEX dead_letters_finished ON dead_letters (id) WHERE state IN ('answered', 'discarded', 'expired');
      CREATE INDEX dead_letters_by_expiry ON dead_letters (expires_at_ms) WHERE state = 'waiting';
      CREATE INDEX dead_letters_by_time ON dead_letters (parked_at_ms);`,
  },
  {
    name: "idempotency_keys",
    sql: `
      CREATE TABLE idempotency_keys (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE, body_hash TEXT NOT NULL, at_ms INTEGER NOT NULL,
        answer TEXT, bytes INTEGER NOT NULL
      );`,
  },
  {
    name: "webhook_dead_letters",
    // The body comes last, so that a scan need not walk through it; the index of sizes answers what has to leave.
    sql: `
      CREATE TABLE webhook_dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL, webhook TEXT NOT NULL, poison INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL, redrives INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL,
        event_id TEXT NOT NULL, event_name TEXT NOT NULL, reason TEXT NOT NULL, last_error TEXT, body TEXT NOT NULL
      );
      CREATE INDEX webhook_dead_letters_next ON webhook_dead_letters (webhook, poison, id);
      CREATE INDEX webhook_dead_letters_sizes ON webhook_dead_letters (id, bytes);
      CREATE INDEX webhook_dead_letters_by_time ON webhook_dead_letters (at_ms);`,
  },
  {
    name: "disabled_plugins",
    sql: "CREATE TABLE disabled_plugins (plugin TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;",
  },
  {
    name: "decision_chain",
    // A row without a hash was written before there was a chain. AUTOINCREMENT: links cut off at the end leave a trace.
    sql: `
      ALTER TABLE decisions ADD COLUMN hash TEXT;
      CREATE TABLE decision_chain (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL, decision_id INTEGER NOT NULL, detail TEXT,
        digest TEXT NOT NULL, hash TEXT NOT NULL
      );
      CREATE INDEX decision_chain_by_decision ON decision_chain (kind, decision_id);`,
  },
  {
    name: "shadow policies",
    sql: `
      CREATE TABLE shadows (
        name TEXT PRIMARY KEY, since_ms INTEGER NOT NULL, policy TEXT NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE shadow_hours (
        shadow TEXT NOT NULL, hour_ms INTEGER NOT NULL, agreements INTEGER NOT NULL, differences INTEGER NOT NULL,
        PRIMARY KEY (shadow, hour_ms)
      ) WITHOUT ROWID;
      CREATE TABLE shadow_decisions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        shadow TEXT NOT NULL, at_ms INTEGER NOT NULL, until_ms INTEGER, used_ratio REAL NOT NULL,
        rule TEXT NOT NULL, reason TEXT NOT NULL, actions TEXT NOT NULL,
        acting_rule TEXT NOT NULL, acting_actions TEXT NOT NULL
      );
      CREATE INDEX shadow_decisions_by_shadow ON shadow_decisions (shadow, at_ms);
      CREATE INDEX shadow_decisions_by_time ON shadow_decisions (at_ms);
      CREATE TABLE promotions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL, change TEXT NOT NULL, shadow TEXT NOT NULL,
        ordered_by TEXT NOT NULL, who TEXT, reason TEXT NOT NULL, policy TEXT NOT NULL,
        probation_until_ms INTEGER, oom_kills INTEGER
      );`,
  },
  {
    name: "models",
    // The messages come last, so that a scan for what has to leave need not walk through them.
    sql: `
      CREATE TABLE model_peaks (
        model TEXT NOT NULL, context_tokens INTEGER NOT NULL,
        source TEXT NOT NULL, at_ms INTEGER NOT NULL, bytes INTEGER NOT NULL,
        PRIMARY KEY (model, context_tokens)
      ) WITHOUT ROWID;
      CREATE TABLE conversations (
        id TEXT PRIMARY KEY, used INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        turns INTEGER NOT NULL, characters INTEGER NOT NULL, messages TEXT NOT NULL
      );
      CREATE INDEX conversations_by_use ON conversations (used, characters);`,
  },
  {
    name: "model_orders",
    sql: `
      CREATE TABLE model_orders (
        model TEXT PRIMARY KEY, ordered TEXT NOT NULL CHECK (ordered IN ('pinned', 'unloaded'))
      ) WITHOUT ROWID;`,
  },
];

/** The number that a pragma such as `user_version` answers. */
export function pragmaNumber(handle: Database, pragma: string): number {
  const row = handle.query(`PRAGMA ${pragma}`).values()[0];
  const value = row?.[0];
  if (typeof value !== "number") throw new TypeError(`PRAGMA ${pragma} answered ${String(value)}`);
  return value;
}

function applyOne(handle: Database, path: string, migration: Migration, version: number): void {
  try {
    handle.run("BEGIN IMMEDIATE");
    handle.run(migration.sql);
    handle.run(`PRAGMA application_id = ${applicationId}`);
    handle.run(`PRAGMA user_version = ${version}`);
    handle.run("COMMIT");
  } catch (error) {
    if (handle.inTransaction) handle.run("ROLLBACK");
    const named = asStorageError(error, path);
    // A statement that SQLite refuses is this migration's fault; a full or failing disk says so itself.
    const statementAtFault = named instanceof RowRefusedError || /SQLITE_ERROR/.test(String(named));
    if (named instanceof StorageError && !statementAtFault) throw named;
    throw new MigrationError(path, migration.name, error instanceof Error ? error.message : String(error));
  }
}

/**
 * Applies what `steps` has beyond the file's `user_version`, each step in its own transaction, and returns how many.
 * Throws NewerDatabaseError, MigrationError, or what the disk refuses as its StorageError.
 */
export function migrate(handle: Database, path: string, steps: readonly Migration[] = migrations): number {
  const found = pragmaNumber(handle, "user_version");
  if (found > steps.length) throw new NewerDatabaseError(path, found, steps.length);
  steps.slice(found).forEach((step, index) => {
    applyOne(handle, path, step, found + index + 1);
  });
  return steps.length - found;
}
