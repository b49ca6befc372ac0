/** Which dead letters: the filter that lists, exports, redrives and discards share. */

import type { DeadLetterKind, DeadLetterState } from "./dead-letter-row.ts";

/** Every part that is given has to hold. */
export interface DeadLetterFilter {
  platform?: string | undefined;
  kind?: DeadLetterKind | undefined;
  state?: DeadLetterState | undefined;
  /** Parked then or later. */
  sinceMs?: number | undefined;
}

/** The condition, for four values in this order; a value that is null asks for nothing. */
export const filterCondition = `(?1 IS NULL OR platform = ?1) AND (?2 IS NULL OR kind = ?2)
  AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR parked_at_ms >= ?4)`;

export type FilterValues = [string | null, string | null, string | null, number | null];

export const filterValues = ({ platform, kind, state, sinceMs }: DeadLetterFilter): FilterValues => [
  platform ?? null,
  kind ?? null,
  state ?? null,
  sinceMs ?? null,
];
