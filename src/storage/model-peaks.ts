/** Most that each local model was measured to hold, by context: what its next load is taken to need. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard } from "./write-guard.ts";

export interface PeakRow {
  contextTokens: number;
  bytes: number;
}

/** Peaks kept, of all models; the one measured longest ago leaves. */
const mostRows = 256;

export class ModelPeaks {
  readonly #keep: Statement;
  readonly #forget: Statement;
  readonly #trim: Statement;
  readonly #of: Statement<PeakRow, [string, string]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    this.#keep = database.prepare(
      "INSERT OR REPLACE INTO model_peaks (model, context_tokens, source, at_ms, bytes) VALUES (?, ?, ?, ?, ?)",
    );
    this.#forget = database.prepare("DELETE FROM model_peaks WHERE model = ? AND source <> ?");
    this.#trim = database.prepare(
      `DELETE FROM model_peaks WHERE (model, context_tokens) IN
         (SELECT model, context_tokens FROM model_peaks ORDER BY at_ms DESC, model LIMIT -1 OFFSET ${mostRows})`,
    );
    this.#of = database.prepare(
      "SELECT context_tokens AS contextTokens, bytes FROM model_peaks WHERE model = ? AND source = ? ORDER BY at_ms",
    ) as Statement<PeakRow, [string, string]>;
  }

  /** `source` says what the model was made of, such as its file: peaks of another one are forgotten. */
  keep(model: string, source: string, peaks: readonly PeakRow[], atMs: number): boolean {
    const write = () => {
      this.#forget.run(model, source);
      for (const { contextTokens, bytes } of peaks)
        this.#keep.run(model, contextTokens, source, Math.trunc(atMs), Math.trunc(bytes));
      this.#trim.run();
    };
    return this.guard.attempt("models", "crash", write).problem === null;
  }

  /** Those of this very source, the newest last. Throws StorageError. */
  of(model: string, source: string): PeakRow[] {
    return this.database.read(() => this.#of.all(model, source));
  }
}
