/** The circuit breakers as they stood last, for the next start, and the latest moves of each, for a person. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard } from "./write-guard.ts";

export interface BreakerMoveRow {
  atMs: number;
  /** closed, open or half-open. */
  from: string;
  to: string;
  reason: string;
  /** requests, health or person. */
  movedBy: string;
}

/** Moves kept of each platform. */
export const mostMoves = 50;
/** Platforms kept; the one that moved longest ago leaves, with its moves. */
const mostPlatforms = 1_024;

export class BreakerRecords {
  readonly #keep: Statement;
  readonly #trim: Statement;
  readonly #all: Statement<{ platform: string; state: string }, []>;
  readonly #forget: Statement;
  readonly #insertMove: Statement;
  readonly #trimMoves: Statement;
  readonly #trimPlatforms: Statement;
  readonly #moves: Statement<BreakerMoveRow, [string, number]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    this.#keep = database.prepare(
      "INSERT OR REPLACE INTO breakers (platform, at_ms, state) VALUES (?, ?, ?)",
    );
    this.#trim = database.prepare(
      `DELETE FROM breakers WHERE platform IN
         (SELECT platform FROM breakers ORDER BY at_ms DESC LIMIT -1 OFFSET ${mostPlatforms})`,
    );
    this.#all = database.prepare("SELECT platform, state FROM breakers ORDER BY platform") as Statement<
      { platform: string; state: string },
      []
    >;
    this.#forget = database.prepare("DELETE FROM breakers WHERE platform = ?");
    this.#insertMove = database.prepare(
      `INSERT INTO breaker_moves (platform, id, at_ms, from_state, to_state, reason, moved_by)
       SELECT ?1, coalesce(max(id), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM breaker_moves WHERE platform = ?1`,
    );
    this.#trimMoves = database.prepare(
      `DELETE FROM breaker_moves WHERE platform = ?1 AND id <=
         (SELECT max(id) FROM breaker_moves WHERE platform = ?1) - ${mostMoves}`,
    );
    this.#trimPlatforms = database.prepare(
      `DELETE FROM breaker_moves WHERE platform IN (SELECT platform FROM breaker_moves GROUP BY platform
         ORDER BY max(at_ms) DESC LIMIT -1 OFFSET ${mostPlatforms})`,
    );
    this.#moves = database.prepare(
      `SELECT at_ms AS atMs, from_state AS "from", to_state AS "to", reason, moved_by AS movedBy
       FROM breaker_moves WHERE platform = ? ORDER BY id DESC LIMIT ?`,
    ) as Statement<BreakerMoveRow, [string, number]>;
  }

  /** Keeps the breaker of `platform` as it stands; `state` is JSON-able. False: the write failed, and the last one stays. */
  keep(platform: string, atMs: number, state: unknown): boolean {
    const write = () => {
      this.#keep.run(platform, atMs, JSON.stringify(state));
      this.#trim.run();
    };
    return this.guard.attempt("breakers", "crash", write).problem === null;
  }

  /** The stored breakers, by platform; null for a text that is no JSON. Throws StorageError. */
  kept(): Record<string, unknown> {
    const rows = this.database.read(() => this.#all.all());
    return Object.fromEntries(rows.map(({ platform, state }) => [platform, parsed(state)]));
  }

  /** The platform is no more; its moves stay until others take their place. */
  forget(platform: string): void {
    this.guard.attempt("breakers", "crash", () => {
      this.#forget.run(platform);
    });
  }

  /** Records a move; what a person ordered is written through to the disk. False: it was dropped. */
  insertMove(platform: string, { atMs, from, to, reason, movedBy }: BreakerMoveRow): boolean {
    const write = () => {
      this.#insertMove.run(platform, atMs, from, to, reason, movedBy);
      this.#trimMoves.run(platform);
      this.#trimPlatforms.run();
    };
    const durability = movedBy === "person" ? "powerCut" : "crash";
    return this.guard.attempt("breakers", durability, write).problem === null;
  }

  /** The latest moves of `platform`, the newest first. Throws StorageError. */
  moves(platform: string): BreakerMoveRow[] {
    return this.database.read(() => this.#moves.all(platform, mostMoves));
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // It is told as one that was not understood, and starts closed.
    return null;
  }
}
