/** What each plugin's process tree held over time: the source of learned footprints. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard } from "./write-guard.ts";

/** `method` says how `bytes` was measured, such as "cgroup", "pss" or "private". */
export interface FootprintRow {
  atMs: number;
  plugin: string;
  bytes: number;
  method: string;
}

const hourMs = 3_600_000;
/** Peaks are looked for at most this far back: two weeks. */
const mostHours = 336;
/** A range query answers at most this many rows. */
const mostRows = 20_160;

export class Footprints {
  readonly #insert: Statement;
  readonly #latest: Statement<FootprintRow, [string]>;
  readonly #range: Statement<FootprintRow, [string, number, number, number]>;
  readonly #peaks: Statement<{ bytes: number }, [string, number, number]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    const selected = "at_ms AS atMs, plugin, bytes, method";
    this.#insert = database.prepare(
      "INSERT OR REPLACE INTO footprints (at_ms, plugin, bytes, method) VALUES (?, ?, ?, ?)",
    );
    this.#latest = database.prepare(
      `SELECT ${selected} FROM footprints WHERE plugin = ? ORDER BY at_ms DESC LIMIT 1`,
    ) as Statement<FootprintRow, [string]>;
    this.#range = database.prepare(
      `SELECT ${selected} FROM footprints WHERE plugin = ? AND at_ms BETWEEN ? AND ? ORDER BY at_ms LIMIT ?`,
    ) as Statement<FootprintRow, [string, number, number, number]>;
    this.#peaks = database.prepare(
      `SELECT max(bytes) AS bytes FROM footprints WHERE plugin = ? AND at_ms > ?
       GROUP BY at_ms / ${hourMs} ORDER BY at_ms / ${hourMs} DESC LIMIT ?`,
    ) as Statement<{ bytes: number }, [string, number, number]>;
  }

  /** Stores the footprints of one tick in one transaction. False: none was stored, they are a gap. */
  insert(rows: readonly FootprintRow[]): boolean {
    if (rows.length === 0) return true;
    const write = () => {
      for (const { atMs, plugin, bytes, method } of rows) this.#insert.run(atMs, plugin, bytes, method);
    };
    return this.guard.attempt("footprints", "crash", write).problem === null;
  }

  /** The newest footprint of `plugin`; null when none was ever taken. Throws StorageError. */
  latest(plugin: string): FootprintRow | null {
    return this.database.read(() => this.#latest.get(plugin));
  }

  /** The footprints of `plugin` in `fromMs`..`toMs`, oldest first. Throws StorageError. */
  range(plugin: string, fromMs: number, toMs: number, limit = mostRows): FootprintRow[] {
    const bounded = Math.min(mostRows, Math.max(0, Math.trunc(limit) || 0));
    return this.database.read(() => this.#range.all(plugin, fromMs, toMs, bounded));
  }

  /**
   * The highest bytes of each clock hour (UTC), newest hour first, of the `hours` (at most 336) hours up to the newest
   * footprint; an hour without one is left out. Empty for a plugin that was never measured. Throws StorageError.
   */
  recentPeaks(plugin: string, hours: number): number[] {
    const bounded = Math.min(mostHours, Math.max(0, Math.trunc(hours) || 0));
    const newest = this.latest(plugin);
    if (newest === null || bounded === 0) return [];
    const afterMs = (Math.floor(newest.atMs / hourMs) - bounded + 1) * hourMs - 1;
    return this.database.read(() => this.#peaks.all(plugin, afterMs, bounded).map(({ bytes }) => bytes));
  }
}
