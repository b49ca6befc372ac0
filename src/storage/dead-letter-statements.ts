/** The statements that change one dead letter, or find the next. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import { discardedAt, releasedAt } from "./dead-letter-orders.ts";
import { allColumns, type DeadLetterRow } from "./dead-letter-row.ts";

export interface DeadLetterStatements {
  insert: Statement;
  byId: Statement<DeadLetterRow, [number]>;
  /** platform, nowMs */
  next: Statement<DeadLetterRow, [string, number]>;
  platforms: Statement;
  /** afterId, nowMs, most */
  waitingAfter: Statement<{ id: number }, [number, number, number]>;
  /** id, nowMs */
  claim: Statement;
  markSent: Statement;
  close: Statement;
  expire: Statement<{ platform: string }, [number]>;
  /** nowMs, id */
  release: Statement;
  /** nowMs, id */
  discard: Statement;
}

export function deadLetterStatements(database: ConductorDatabase): DeadLetterStatements {
  const prepare = (sql: string) => database.prepare(sql);
  const one = (set: string) =>
    `UPDATE dead_letters SET ${set} WHERE id = ?2 AND state IN ('waiting', 'poison')`;
  return {
    insert: prepare(
      `INSERT INTO dead_letters (request_id, platform, type, payload, headers, idempotency_key, idempotent, kind,
         reason, attempts, attempts_left_out, parked_at_ms, expires_at_ms, next_at_ms, state, state_reason, bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', '', ?)`,
    ),
    byId: prepare(`SELECT ${allColumns} FROM dead_letters WHERE id = ?`) as DeadLetterStatements["byId"],
    next: prepare(
      `SELECT ${allColumns} FROM dead_letters WHERE state = 'waiting' AND held = 0 AND platform = ?
         AND expires_at_ms > ? ORDER BY id LIMIT 1`,
    ) as DeadLetterStatements["next"],
    platforms: prepare("SELECT DISTINCT platform FROM dead_letters WHERE state = 'waiting' AND held = 0"),
    waitingAfter: prepare(
      `SELECT id FROM dead_letters INDEXED BY dead_letters_open WHERE state IN ('waiting', 'poison') AND id > ?
         AND state = 'waiting' AND held = 0 AND expires_at_ms > ? ORDER BY id LIMIT ?`,
    ) as DeadLetterStatements["waitingAfter"],
    claim: prepare(
      `UPDATE dead_letters SET state = 'redriving', state_reason = '', sent = 0
       WHERE id = ? AND state = 'waiting' AND expires_at_ms > ?`,
    ),
    markSent: prepare("UPDATE dead_letters SET sent = 1 WHERE id = ? AND state = 'redriving'"),
    close: prepare(
      `UPDATE dead_letters SET state = ?, state_reason = ?, held = ?, next_at_ms = ?, redrives = redrives + ?,
         attempts = ?, attempts_left_out = ?, result = ?, closed_at_ms = ?, bytes = ?, sent = 0
       WHERE id = ? AND state = 'redriving'`,
    ),
    expire: prepare(
      `UPDATE dead_letters SET state = 'expired', state_reason = 'its time to live was over', closed_at_ms = ?1
       WHERE id IN (SELECT id FROM dead_letters INDEXED BY dead_letters_by_expiry
         WHERE state = 'waiting' AND expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT 500) RETURNING platform`,
    ) as DeadLetterStatements["expire"],
    release: prepare(`${one(releasedAt("?1"))} AND expires_at_ms > ?1`),
    discard: prepare(one(discardedAt("?1"))),
  };
}
