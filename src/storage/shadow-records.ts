/** What the shadow policies decided otherwise than the one that acts, and how often they agreed. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import { asJsonText } from "./decision-row.ts";
import type { WriteGuard } from "./write-guard.ts";

/** `actions` are those of a verdict: {kind, plugin, …}. */
export interface DifferenceDraft {
  shadow: string;
  atMs: number;
  /** Share of the budget in use. */
  usedRatio: number;
  rule: string;
  reason: string;
  actions: readonly unknown[];
  actingRule: string;
  actingActions: readonly unknown[];
}

export interface DifferenceRow extends Omit<DifferenceDraft, "actions" | "actingActions"> {
  id: number;
  /** Null: it stood when conductor ended, or stands. */
  untilMs: number | null;
  /** JSON texts. */
  actions: string;
  actingActions: string;
}

export interface ShadowRow {
  name: string;
  /** Since when it has been watched with this policy. */
  sinceMs: number;
  /** JSON. */
  policy: string;
}

const hourMs = 3_600_000;
const dayMs = 86_400_000;
/** Of all shadows together; the oldest leave. Fewer where all of the state is in memory. */
const mostDifferences = 10_000;
const mostInMemory = 1_000;
const mostAgeMs = 90 * dayMs;
const mostListed = 500;

export class ShadowRecords {
  readonly #all: Statement<ShadowRow, []>;
  readonly #keep: Statement;
  readonly #forget: readonly Statement[];
  readonly #insert: Statement;
  readonly #trim: readonly [Statement, Statement, Statement];
  readonly #end: Statement;
  readonly #count: Statement;
  readonly #totals: Statement<{ agreements: number | null; differences: number | null }, [string, number]>;
  readonly #byRule: Statement<{ rule: string; actingRule: string; count: number }, [string, number]>;
  readonly #byAction: Statement<{ kind: string; plugin: string; count: number }, [string, number]>;
  readonly #latest: Statement<DifferenceRow, [string, number]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    const most = database.path === null ? mostInMemory : mostDifferences;
    const prepare = (sql: string) => database.prepare(sql);
    this.#all = prepare("SELECT name, since_ms AS sinceMs, policy FROM shadows ORDER BY name") as Statement<
      ShadowRow,
      []
    >;
    this.#keep = prepare("INSERT OR REPLACE INTO shadows (name, since_ms, policy) VALUES (?, ?, ?)");
    this.#forget = [
      prepare("DELETE FROM shadows WHERE name = ?"),
      prepare("DELETE FROM shadow_hours WHERE shadow = ?"),
      prepare("DELETE FROM shadow_decisions WHERE shadow = ?"),
    ];
    this.#insert = prepare(
      `INSERT INTO shadow_decisions
         (shadow, at_ms, used_ratio, rule, reason, actions, acting_rule, acting_actions)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#trim = [
      prepare(`DELETE FROM shadow_decisions WHERE id <= (SELECT max(id) FROM shadow_decisions) - ${most}`),
      prepare("DELETE FROM shadow_decisions WHERE at_ms < ?"),
      prepare("DELETE FROM shadow_hours WHERE hour_ms < ?"),
    ];
    this.#end = prepare("UPDATE shadow_decisions SET until_ms = ? WHERE id = ?");
    this.#count = prepare(
      `INSERT INTO shadow_hours (shadow, hour_ms, agreements, differences) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET agreements = agreements + excluded.agreements,
         differences = differences + excluded.differences`,
    );
    this.#totals = prepare(
      `SELECT sum(agreements) AS agreements, sum(differences) AS differences
       FROM shadow_hours WHERE shadow = ? AND hour_ms >= ?`,
    ) as Statement<{ agreements: number | null; differences: number | null }, [string, number]>;
    this.#byRule = prepare(
      `SELECT rule, acting_rule AS actingRule, count(*) AS count FROM shadow_decisions
       WHERE shadow = ? AND at_ms >= ? GROUP BY 1, 2 ORDER BY count DESC, 1, 2 LIMIT 100`,
    ) as Statement<{ rule: string; actingRule: string; count: number }, [string, number]>;
    this.#byAction = prepare(
      `SELECT each.value ->> 'kind' AS kind, each.value ->> 'plugin' AS plugin, count(*) AS count
       FROM shadow_decisions, json_each(actions) AS each
       WHERE shadow = ? AND at_ms >= ? GROUP BY 1, 2 ORDER BY count DESC, 1, 2 LIMIT 100`,
    ) as Statement<{ kind: string; plugin: string; count: number }, [string, number]>;
    this.#latest = prepare(
      `SELECT id, shadow, at_ms AS atMs, until_ms AS untilMs, used_ratio AS usedRatio, rule, reason, actions,
         acting_rule AS actingRule, acting_actions AS actingActions
       FROM shadow_decisions WHERE shadow = ? ORDER BY id DESC LIMIT ?`,
    ) as Statement<DifferenceRow, [string, number]>;
  }

  /** The shadows whose record is kept. Throws StorageError. */
  shadows(): ShadowRow[] {
    return this.database.read(() => this.#all.all());
  }

  /**
   * `name` is watched with `policy` from `nowMs` on; when it was with the same one before, the record goes on. Yields since
   * when. Throws StorageError when it cannot be read.
   */
  watch(name: string, policy: unknown, nowMs: number): number {
    const text = asJsonText(policy);
    const known = this.shadows().find((each) => each.name === name);
    if (known?.policy === text) return known.sinceMs;
    this.#write(() => {
      for (const statement of this.#forget) statement.run(name);
      this.#keep.run(name, nowMs, text);
    });
    return nowMs;
  }

  /** The record of a shadow that is no more goes. */
  forget(name: string): void {
    this.#write(() => {
      for (const statement of this.#forget) statement.run(name);
    });
  }

  /** Keeps a verdict that differs; yields its id, 0 when it was dropped. */
  insert(draft: DifferenceDraft): number {
    let id = 0;
    this.#write(() => {
      const { shadow, atMs, usedRatio, rule, reason, actions, actingRule, actingActions } = draft;
      id = Number(
        this.#insert.run(
          shadow,
          atMs,
          usedRatio,
          rule,
          reason.slice(0, 4_096),
          asJsonText(actions),
          actingRule,
          asJsonText(actingActions),
        ).lastInsertRowid,
      );
      const [byCount, byAge] = this.#trim;
      byCount.run();
      byAge.run(atMs - mostAgeMs);
    });
    return id;
  }

  /** The difference is over. */
  end(id: number, untilMs: number): void {
    this.#write(() => void this.#end.run(untilMs, id));
  }

  /** Adds readings to the hour of `atMs`. False: they were dropped. */
  count(shadow: string, atMs: number, agreements: number, differences: number): boolean {
    return this.#write(() => {
      this.#count.run(shadow, Math.floor(atMs / hourMs) * hourMs, agreements, differences);
      this.#trim[2].run(atMs - mostAgeMs);
    });
  }

  /** Readings in which it agreed and did not, from the hour of `sinceMs` on. Throws StorageError. */
  totals(shadow: string, sinceMs: number): { agreements: number; differences: number } {
    const row = this.database.read(() => this.#totals.get(shadow, sinceMs - (sinceMs % hourMs)));
    return { agreements: row?.agreements ?? 0, differences: row?.differences ?? 0 };
  }

  /** Recorded differences by the two rules, the most frequent first; at most 100. Throws StorageError. */
  byRule(shadow: string, sinceMs: number) {
    return this.database.read(() => this.#byRule.all(shadow, sinceMs));
  }

  /** What it would have done otherwise, the most frequent first; at most 100. Throws StorageError. */
  byAction(shadow: string, sinceMs: number) {
    return this.database.read(() => this.#byAction.all(shadow, sinceMs));
  }

  /** The newest first, at most 500. Throws StorageError. */
  latest(shadow: string, limit: number): DifferenceRow[] {
    return this.database.read(() =>
      this.#latest.all(shadow, Math.min(mostListed, Math.max(0, Math.trunc(limit) || 0))),
    );
  }

  #write(write: () => void): boolean {
    return this.guard.attempt("shadows", "crash", write).problem === null;
  }
}
