/** The host's samples: what the window is warmed from after a restart, and what a history query reads. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard } from "./write-guard.ts";

/** One sample. Null is a gap: the source did not answer then. Percent are 0..100, PSI is the avg10 share of time stalled. */
export interface SampleRow {
  atMs: number;
  memoryUsedBytes: number | null;
  memoryBudgetBytes: number | null;
  cpuPercent: number | null;
  swapUsedBytes: number | null;
  swapTotalBytes: number | null;
  diskUsedPercent: number | null;
  diskFreeBytes: number | null;
  load1: number | null;
  load5: number | null;
  load15: number | null;
  psiMemorySomePercent: number | null;
  psiMemoryFullPercent: number | null;
  psiCpuSomePercent: number | null;
  psiIoSomePercent: number | null;
  psiIoFullPercent: number | null;
}

/** What the forecast is trained on. */
export type MemoryRow = Pick<SampleRow, "atMs" | "memoryUsedBytes" | "memoryBudgetBytes">;

const columns: Record<keyof SampleRow, string> = {
  atMs: "at_ms",
  memoryUsedBytes: "memory_used_bytes",
  memoryBudgetBytes: "memory_budget_bytes",
  cpuPercent: "cpu_percent",
  swapUsedBytes: "swap_used_bytes",
  swapTotalBytes: "swap_total_bytes",
  diskUsedPercent: "disk_used_percent",
  diskFreeBytes: "disk_free_bytes",
  load1: "load1",
  load5: "load5",
  load15: "load15",
  psiMemorySomePercent: "psi_memory_some_percent",
  psiMemoryFullPercent: "psi_memory_full_percent",
  psiCpuSomePercent: "psi_cpu_some_percent",
  psiIoSomePercent: "psi_io_some_percent",
  psiIoFullPercent: "psi_io_full_percent",
};

const keys = Object.keys(columns) as (keyof SampleRow)[];
const selected = keys.map((key) => `${columns[key]} AS ${key}`).join(", ");

/** A query answers at most this many samples: a week at one in 30 s. */
const mostRows = 20_160;

/** Whole, at least 0 and at most `most`: SQLite takes a negative LIMIT for none. */
const boundedLimit = (limit: number): number => Math.min(mostRows, Math.max(0, Math.trunc(limit) || 0));

export class Samples {
  readonly #insert: Statement;
  readonly #range: Statement<SampleRow, [number, number, number]>;
  readonly #latest: Statement<SampleRow, [number]>;
  readonly #memory: Statement<MemoryRow, [number, number, number]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    const names = keys.map((key) => columns[key]).join(", ");
    this.#insert = database.prepare(
      `INSERT OR REPLACE INTO samples (${names}) VALUES (${keys.map(() => "?").join(", ")})`,
    );
    this.#range = database.prepare(
      `SELECT ${selected} FROM samples WHERE at_ms BETWEEN ? AND ? ORDER BY at_ms LIMIT ?`,
    ) as Statement<SampleRow, [number, number, number]>;
    this.#latest = database.prepare(
      `SELECT * FROM (SELECT ${selected} FROM samples ORDER BY at_ms DESC LIMIT ?) ORDER BY atMs`,
    ) as Statement<SampleRow, [number]>;
    this.#memory = database.prepare(
      `SELECT at_ms AS atMs, memory_used_bytes AS memoryUsedBytes, memory_budget_bytes AS memoryBudgetBytes
       FROM samples WHERE at_ms > ? AND at_ms <= ? AND memory_used_bytes IS NOT NULL ORDER BY at_ms LIMIT ?`,
    ) as Statement<MemoryRow, [number, number, number]>;
  }

  /** Stores one sample; a second one of the same millisecond replaces the first. False: it was dropped, and is a gap. */
  insert(row: SampleRow): boolean {
    const values = keys.map((key) => finiteOrNull(row[key]));
    return this.guard.attempt("samples", "crash", () => this.#insert.run(...values)).problem === null;
  }

  /** The samples of `fromMs`..`toMs`, both included, oldest first, at most `limit` (at most 20,160). Throws StorageError. */
  range(fromMs: number, toMs: number, limit = mostRows): SampleRow[] {
    return this.database.read(() => this.#range.all(fromMs, toMs, boundedLimit(limit)));
  }

  /** The memory measured after `afterMs` up to `untilMs`, oldest first, gaps left out. Throws StorageError. */
  memory(afterMs: number, untilMs: number, limit: number): MemoryRow[] {
    return this.database.read(() => this.#memory.all(afterMs, untilMs, boundedLimit(limit)));
  }

  /** The newest `count` samples, oldest first. Throws StorageError. */
  latest(count: number): SampleRow[] {
    return this.database.read(() => this.#latest.all(boundedLimit(count)));
  }
}

/** What is no number is missing; SQLite would store an infinity as one. */
function finiteOrNull(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}
