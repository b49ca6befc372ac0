/** The table `integration_metrics`: what each platform answered, by interval. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard } from "./write-guard.ts";

/** One platform over the interval that ends at `timestampMs`. Null: no request was answered, nothing was measured. */
export interface IntegrationMetricsRow {
  timestampMs: number;
  platformName: string;
  /** Mean over the interval. */
  responseTimeMs: number | null;
  errorCount: number;
  requestCount: number;
  /** The column holds MB of 2^20 bytes. */
  resourceUsageBytes: number | null;
}

const bytesPerMb = 2 ** 20;
/** A query answers at most this many rows. */
const mostRows = 20_160;
const columns = `timestamp AS timestampMs, platform_name AS platformName, response_time_ms AS responseTimeMs,
  error_count AS errorCount, request_count AS requestCount, resource_usage_mb * ${bytesPerMb} AS resourceUsageBytes`;

export interface RecentMetrics {
  /** Default: every platform that has rows. */
  platformName?: string | undefined;
  sinceMs: number;
  /** At most 20,160. */
  limit: number;
}

export class IntegrationMetrics {
  readonly #insert: Statement;
  readonly #range: Statement<IntegrationMetricsRow, [string, number, number, number]>;
  readonly #latest: Statement<IntegrationMetricsRow, [string, number, number]>;
  readonly #nextName: Statement<{ name: string | null }, [string]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    this.#insert = database.prepare(
      `INSERT OR REPLACE INTO integration_metrics
         (timestamp, platform_name, response_time_ms, error_count, request_count, resource_usage_mb)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#range = database.prepare(
      `SELECT ${columns} FROM integration_metrics WHERE platform_name = ? AND timestamp BETWEEN ? AND ?
       ORDER BY timestamp LIMIT ?`,
    ) as Statement<IntegrationMetricsRow, [string, number, number, number]>;
    this.#latest = database.prepare(
      `SELECT ${columns} FROM integration_metrics WHERE platform_name = ? AND timestamp >= ?
       ORDER BY timestamp DESC LIMIT ?`,
    ) as Statement<IntegrationMetricsRow, [string, number, number]>;
    this.#nextName = database.prepare(
      "SELECT min(platform_name) AS name FROM integration_metrics WHERE platform_name > ?",
    ) as Statement<{ name: string | null }, [string]>;
  }

  /** Stores the rows of one interval in one transaction; a row of the same platform and time replaces the first one.
   * False: none was stored. */
  insert(rows: readonly IntegrationMetricsRow[]): boolean {
    if (rows.length === 0) return true;
    const write = () => {
      for (const row of rows)
        this.#insert.run(
          row.timestampMs,
          row.platformName,
          row.responseTimeMs,
          row.errorCount,
          row.requestCount,
          row.resourceUsageBytes === null ? null : row.resourceUsageBytes / bytesPerMb,
        );
    };
    return this.guard.attempt("integration_metrics", "crash", write).problem === null;
  }

  /** The rows of `platformName` in `fromMs`..`toMs`, oldest first, at most `limit` (at most 20,160). Throws StorageError. */
  range(platformName: string, fromMs: number, toMs: number, limit = mostRows): IntegrationMetricsRow[] {
    const bounded = Math.min(mostRows, Math.max(0, Math.trunc(limit) || 0));
    return this.database.read(() => this.#range.all(platformName, fromMs, toMs, bounded));
  }

  /** The latest rows, newest first, those of one moment by platform. Throws StorageError. */
  recent({ platformName, sinceMs, limit }: RecentMetrics): IntegrationMetricsRow[] {
    const bounded = Math.min(mostRows, Math.max(0, Math.trunc(limit) || 0));
    return this.database.read(() => {
      if (platformName !== undefined) return this.#latest.all(platformName, sinceMs, bounded);
      let kept: IntegrationMetricsRow[] = [];
      let fromMs = sinceMs;
      for (const name of this.#names()) {
        kept = [...kept, ...this.#latest.all(name, fromMs, bounded)]
          .sort((a, b) => b.timestampMs - a.timestampMs)
          .slice(0, bounded);
        // Of the next platform only what is as new as this can still be among them: a month of many is not read.
        if (kept.length === bounded) fromMs = kept.at(-1)?.timestampMs ?? fromMs;
      }
      return kept;
    });
  }

  /** Each platform that has rows, by its name: a step in the index each, not a walk through all rows. */
  *#names(): Generator<string> {
    let name = this.#nextName.get("")?.name ?? null;
    while (name !== null) {
      yield name;
      name = this.#nextName.get(name)?.name ?? null;
    }
  }
}
