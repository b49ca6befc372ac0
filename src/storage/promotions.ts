/** Which shadow policy acts in place of the configured one, by whose order, and how that went. Written through to the disk. */

import type { Statement } from "bun:sqlite";
import * as z from "zod";
import type { ConductorDatabase } from "./database.ts";
import { asJsonText } from "./decision-row.ts";
import type { WriteGuard } from "./write-guard.ts";

/** kept: its probation is over. After rolled-back the configured policy acts, after the others the shadow's. */
export type PromotionChange = "promoted" | "kept" | "rolled-back";

export interface PromotionDraft {
  atMs: number;
  change: PromotionChange;
  shadow: string;
  /** person, evidence or probation. */
  by: string;
  /** The person's name, as they gave it; null: nobody's, or not given. */
  who: string | null;
  reason: string;
  /** The shadow's policy, whatever the configuration says later. */
  policy: unknown;
  probationUntilMs: number | null;
  /** OOM kills that the kernel had counted when it began; null: not known. */
  oomKills: number | null;
}

export interface PromotionRow extends Omit<PromotionDraft, "policy"> {
  id: number;
  /** Null: it cannot be read. */
  policy: unknown;
}

/** The oldest leave. */
const mostRows = 1_000;

const rowSchema = z.object({
  id: z.int(),
  atMs: z.number(),
  change: z.enum(["promoted", "kept", "rolled-back"]),
  shadow: z.string(),
  by: z.string(),
  who: z.string().nullable(),
  reason: z.string(),
  policy: z.string().transform(parsed),
  probationUntilMs: z.number().nullable(),
  oomKills: z.number().nullable(),
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // Whoever reads it says so.
  }
}

export class Promotions {
  readonly #insert: Statement;
  readonly #trim: Statement;
  readonly #latest: Statement<unknown, [number]>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
  ) {
    this.#insert = database.prepare(
      `INSERT INTO promotions (at_ms, change, shadow, ordered_by, who, reason, policy, probation_until_ms, oom_kills)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#trim = database.prepare(
      `DELETE FROM promotions WHERE id <= (SELECT max(id) FROM promotions) - ${mostRows}`,
    );
    this.#latest = database.prepare(
      `SELECT id, at_ms AS atMs, change, shadow, ordered_by AS "by", who, reason, policy,
         probation_until_ms AS probationUntilMs, oom_kills AS oomKills
       FROM promotions ORDER BY id DESC LIMIT ?`,
    ) as Statement<unknown, [number]>;
  }

  /** Null when it is on the disk; else why it is not, and nothing has changed. */
  insert(draft: PromotionDraft): string | null {
    const { atMs, change, shadow, by, who, reason, policy, probationUntilMs, oomKills } = draft;
    const { problem } = this.guard.attempt("promotions", "powerCut", () => {
      this.#insert.run(atMs, change, shadow, by, who, reason, asJsonText(policy), probationUntilMs, oomKills);
      this.#trim.run();
    });
    return problem?.message ?? null;
  }

  /** The newest first. Throws StorageError. */
  latest(limit = mostRows): PromotionRow[] {
    const rows = this.database.read(() => this.#latest.all(Math.min(mostRows, Math.max(1, limit))));
    return rows.flatMap((row) => {
      const checked = rowSchema.safeParse(row);
      return checked.success ? [checked.data] : [];
    });
  }
}
