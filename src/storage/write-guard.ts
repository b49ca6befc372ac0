/** Writes that may fail. A full or failing disk must not stop the loop: it is counted, said once, and got over later. */

import type { Log } from "../log.ts";
import type { Ballast } from "./ballast.ts";
import type { ConductorDatabase, Durability } from "./database.ts";
import { DiskFullError, StorageError } from "./errors.ts";

/** Names a stream of writes in the log, the status and the metric. */
export type WriteKind =
  | "samples"
  | "footprints"
  | "decisions"
  | "integration_metrics"
  | "trainings"
  | "breakers"
  | "shadows"
  | "promotions"
  | "dead_letters"
  | "webhook_dead_letters"
  | "idempotency_keys"
  | "disabled_plugins"
  | "models"
  | "retention";

export interface WriteProblem {
  code: string;
  message: string;
}

/** `problem` is null when the write is done. */
export type WriteResult = { problem: null } | { problem: WriteProblem };

/**
 *              a write fails                    a write of the same kind succeeds
 *   healthy ───────────────────▶ failing(kind) ─────────────────────────────────▶ healthy
 *   room    ── disk full: ballast dropped ──▶ short ── ballast could be made again ──▶ room
 *
 * While room is short, expendable writes are not tried: what the ballast freed is for decisions and for retention.
 */
export class WriteGuard {
  readonly #failures = new Map<WriteKind, number>();
  readonly #failing = new Map<WriteKind, WriteProblem>();
  #short = false;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly ballast: Ballast | null,
    private readonly log: Log,
    private readonly onFailure: (kind: WriteKind) => void,
  ) {}

  /** True between a full disk and the day that there is room for ballast again. */
  get roomIsShort(): boolean {
    return this.#short;
  }

  /** Writes that failed or were left out, by kind, since the start. */
  failures(): Partial<Record<WriteKind, number>> {
    return Object.fromEntries(this.#failures);
  }

  /** What is failing now. */
  failing(): { kind: WriteKind; problem: WriteProblem }[] {
    return [...this.#failing].map(([kind, problem]) => ({ kind, problem }));
  }

  /** Runs `write` in a transaction. Never throws for what the disk or SQLite refuses; a fault of the program is thrown. */
  attempt(kind: WriteKind, durability: Durability, write: () => void): WriteResult {
    if (this.#short && durability === "crash" && kind !== "retention") return this.#leftOut(kind);
    return this.run(kind, () => this.database.transaction(durability, write));
  }

  /**
   * As `attempt`, to the disk, but not in the room that the ballast gives back: for what may be large and can be refused
   * to the one who brings it.
   */
  attemptInFreeRoom(kind: WriteKind, write: () => void): WriteResult {
    if (this.#short) return this.#leftOut(kind);
    const problem = this.#try(() => this.database.transaction("powerCut", write));
    return problem === null ? this.#succeeded(kind) : this.#failed(kind, problem);
  }

  /** As `attempt`, for work that is no transaction (a checkpoint). */
  run(kind: WriteKind, work: () => void): WriteResult {
    let problem = this.#try(work);
    if (problem instanceof DiskFullError) {
      this.#short = true;
      if (this.ballast?.release()) problem = this.#try(work);
    }
    return problem === null ? this.#succeeded(kind) : this.#failed(kind, problem);
  }

  /** Makes the ballast again when there is room. Call it once a tick. */
  restoreRoom(): void {
    if (this.ballast === null) {
      this.#short = false;
      return;
    }
    if (this.#short && this.ballast.ensure()) {
      this.#short = false;
      this.log.info("storage.room_again", { path: this.database.label });
    }
  }

  #try(work: () => void): StorageError | null {
    try {
      work();
      return null;
    } catch (error) {
      if (error instanceof StorageError) return error;
      throw error;
    }
  }

  #succeeded(kind: WriteKind): WriteResult {
    if (this.#failing.delete(kind))
      this.log.info("storage.write_recovered", { kind, failedWrites: this.#failures.get(kind) });
    return { problem: null };
  }

  /** Said once: until the kind recovers, or fails for another reason, further failures are only counted. */
  #failed(kind: WriteKind, error: StorageError): WriteResult {
    const problem = { code: error.code, message: error.message };
    if (this.#failing.get(kind)?.code !== problem.code)
      this.log.error("storage.write_failed", { kind, ...problem });
    return this.#count(kind, problem);
  }

  #leftOut(kind: WriteKind): WriteResult {
    const { code, message } = new DiskFullError(this.database.label);
    if (!this.#failing.has(kind)) this.log.warn("storage.write_left_out", { kind, code, message });
    return this.#count(kind, { code, message });
  }

  #count(kind: WriteKind, problem: WriteProblem): WriteResult {
    this.#failures.set(kind, (this.#failures.get(kind) ?? 0) + 1);
    this.#failing.set(kind, problem);
    this.onFailure(kind);
    return { problem };
  }
}
