/** What looking through the chain found. */

import type { Head } from "./decision-chain.ts";

/**
 * changed-row: a decision is not as it was appended. missing-row: it is gone. changed-outcome: what came of it is not as it
 * was recorded. foreign-row: a decision that no link knows. changed-link, missing-link: the chain itself. truncated: its
 * newest links are gone. other-head: the noted hash is not in it.
 */
export type BreakKind =
  | "changed-row"
  | "missing-row"
  | "changed-outcome"
  | "foreign-row"
  | "changed-link"
  | "missing-link"
  | "truncated"
  | "other-head";

/** The first place where the chain does not hold. */
export interface ChainBreak {
  kind: BreakKind;
  /** The decision at which it breaks; null where it is none (of a noted hash that is not there). */
  decisionId: number | null;
  /** The link at which it breaks; null where it is none. */
  seq: number | null;
  /** One clause for a person. */
  detail: string;
}

export interface ChainReport {
  /** Chained rows that were found as they were appended. */
  decisions: number;
  /** Time of the first and the last of them. */
  firstAtMs: number | null;
  lastAtMs: number | null;
  /** Rows of before there was a chain: nothing protects them. */
  unchained: number;
  links: number;
  /** Thrown away before they could be written, as the chain itself says. */
  lost: { decisions: number; outcomes: number };
  /** Retention deleted the decisions up to this one; null: none yet. */
  removedThroughId: number | null;
  head: Head | null;
  /** Links after the noted hash; null when none was given or it is not there. */
  sinceExpected: number | null;
  /** Null: intact. */
  broken: ChainBreak | null;
}
