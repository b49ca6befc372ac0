/** What a conductor recorded, read beside it or after it: the whole time, the oldest first. */

import { ConductorDatabase } from "./database.ts";
import { type DecisionRow, modelPolicy } from "./decision-row.ts";
import type { FootprintRow } from "./footprints.ts";
import type { MemoryRow } from "./samples.ts";

/** A decision as its row holds it: the texts, so that they can be compared byte for byte. */
export type DecisionTexts = Pick<
  DecisionRow,
  "id" | "atMs" | "rule" | "reason" | "inputs" | "forecast" | "plan" | "actions" | "alternatives"
>;

/** Read at most this many samples, the newest: a year of one in 30 s. */
export const mostSamples = 1_051_200;
/** And this many footprints. */
const mostFootprints = 10_512_000;

/** A database of conductor, open to read. Opening throws a StorageError: missing, foreign, newer, corrupt. */
export class RecordedDatabase {
  readonly #database: ConductorDatabase;

  constructor(path: string) {
    this.#database = ConductorDatabase.openReader(path);
  }

  /** Memory at each sample; null where it could not be measured. Throws StorageError. */
  samples(): MemoryRow[] {
    const query = this.#database.prepare(
      `SELECT * FROM (SELECT at_ms AS atMs, memory_used_bytes AS memoryUsedBytes, memory_budget_bytes AS memoryBudgetBytes
       FROM samples ORDER BY at_ms DESC LIMIT ?) ORDER BY atMs`,
    );
    return this.#database.read(() => query.all(mostSamples) as MemoryRow[]);
  }

  /** What each plugin held. Throws StorageError. */
  footprints(): Pick<FootprintRow, "atMs" | "plugin" | "bytes">[] {
    const query = this.#database.prepare(
      "SELECT at_ms AS atMs, plugin, bytes FROM footprints ORDER BY at_ms DESC LIMIT ?",
    );
    return this.#database
      .read(() => query.all(mostFootprints) as Pick<FootprintRow, "atMs" | "plugin" | "bytes">[])
      .toReversed();
  }

  /**
   * Every decision on plugins, one at a time: they may be many, and each up to 300 KB. Those on models are made by another
   * function. Throws StorageError.
   */
  *decisions(): Generator<DecisionTexts> {
    const query = this.#database.prepare(
      `SELECT id, at_ms AS atMs, rule, reason, inputs, forecast, plan, actions, alternatives
       FROM decisions WHERE id > ? AND policy <> '${modelPolicy}' ORDER BY id LIMIT 1`,
    );
    for (let after = 0; ; ) {
      const row = this.#database.read(() => query.get(after) as DecisionTexts | null);
      if (row === null) return;
      after = row.id;
      yield row;
    }
  }

  close(): void {
    this.#database.close();
  }
}
