/**
 * The audit as a chain of links, each with a hash over the one before it: what is changed, removed or put in between later
 * no longer fits.
 *
 *   begin --> decision 1 --> decision 2 --> outcome 1 --> lost 3 to 5 --> decision 6 --> removed up to 1 --> ...
 *
 *   begin     rows up to its id were written before there was a chain
 *   decision  digest over the row as it was appended
 *   outcome   digest over what came of it; written again, it gets another link, and the newest counts
 *   lost      decisions and outcomes that waited for the disk and had to be thrown away
 *   removed   retention deleted the rows up to its id; the links before the first kept row left with them, and the detail
 *             keeps the hash of the last of these, from which the chain goes on
 *
 * Links are made as rows are written: what still waits in memory when the process is killed stands in none, and its ids are
 * given again.
 *
 * hash = SHA-256 of the JSON text [hash before, seq, kind, decision id, digest]. Whoever can write the whole file can make a
 * chain of their own: only a hash that was noted elsewhere tells.
 */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { DecisionRow } from "./decision-row.ts";

export type LinkKind = "begin" | "decision" | "outcome" | "lost" | "removed";

export interface Link {
  /** 1, 2, 3, … without a gap. */
  seq: number;
  kind: LinkKind;
  decisionId: number;
  /** JSON of what lies in no other table; null for decision and outcome. */
  detail: string | null;
  /** SHA-256 in hex of what the link stands for. */
  digest: string;
  hash: string;
}

/** The newest link, or the one that a chain goes on from. */
export type Head = Pick<Link, "seq" | "hash">;

/** What the first link follows. */
export const chainStart: Head = { seq: 0, hash: "0".repeat(64) };

/** Decisions and outcomes that were thrown away before they were written; ids both included. */
export interface Loss {
  firstId: number;
  lastId: number;
  decisions: number;
  outcomes: number;
}

/** Of a `removed` link: rows up to `throughId` are gone, and the links up to `seq`, the last of which had `hash`. */
export interface Removed extends Head {
  throughId: number;
}

export const sha256 = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** The digest of a row as it was appended: without what came of it. */
export const decisionDigest = (row: DecisionRow): string =>
  sha256(
    JSON.stringify([
      row.id,
      row.atMs,
      row.policy,
      row.rule,
      row.reason,
      row.inputs,
      row.forecast,
      row.plan,
      row.actions,
      row.alternatives,
      row.plugins,
    ]),
  );

export const outcomeDigest = (id: number, outcome: string | null, outcomeAtMs: number | null): string =>
  sha256(JSON.stringify([id, outcome, outcomeAtMs]));

export const linkHash = (
  before: Head,
  { seq, kind, decisionId, digest }: Omit<Link, "detail" | "hash">,
): string => sha256(JSON.stringify([before.hash, seq, kind, decisionId, digest]));

export const linkColumns = "seq, kind, decision_id AS decisionId, detail, digest, hash";

/** Appends links. Each call belongs into the transaction that writes what the link stands for. */
export class DecisionChain {
  readonly #insert: Statement;
  readonly #newest: Statement<Head, []>;
  readonly #newestId: Statement<{ id: number }, []>;
  readonly #skipIds: Statement;
  readonly #lastGone: Statement<{ seq: number }, [number]>;
  readonly #firstKept: Statement<{ seq: number }, [number]>;
  readonly #bySeq: Statement<Head, [number]>;
  readonly #remove: Statement;

  constructor(private readonly database: ConductorDatabase) {
    this.#insert = database.prepare(
      "INSERT INTO decision_chain (seq, kind, decision_id, detail, digest, hash) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#newest = database.prepare(
      "SELECT seq, hash FROM decision_chain ORDER BY seq DESC LIMIT 1",
    ) as Statement<Head, []>;
    this.#newestId = database.prepare(
      "SELECT seq AS id FROM sqlite_sequence WHERE name = 'decisions'",
    ) as Statement<{ id: number }, []>;
    this.#skipIds = database.prepare("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'decisions'");
    this.#lastGone = database.prepare(
      `SELECT seq FROM decision_chain WHERE kind = 'decision' AND decision_id <= ?
       ORDER BY decision_id DESC LIMIT 1`,
    ) as Statement<{ seq: number }, [number]>;
    this.#firstKept = database.prepare(
      `SELECT seq FROM decision_chain WHERE kind = 'decision' AND decision_id > ? ORDER BY decision_id LIMIT 1`,
    ) as Statement<{ seq: number }, [number]>;
    this.#bySeq = database.prepare("SELECT seq, hash FROM decision_chain WHERE seq = ?") as Statement<
      Head,
      [number]
    >;
    this.#remove = database.prepare("DELETE FROM decision_chain WHERE seq <= ?");
  }

  /** Null while nothing is chained. Throws StorageError. */
  head(): Head | null {
    return this.database.read(() => this.#newest.get());
  }

  /** The id of the newest decision that was ever written; 0 when there was none. Throws StorageError. */
  newestId(): number {
    return this.database.read(() => this.#newestId.get())?.id ?? 0;
  }

  /** Links a new row; yields its hash. */
  decision(row: DecisionRow): string {
    return this.#add("decision", row.id, decisionDigest(row));
  }

  outcome(id: number, outcome: string | null, outcomeAtMs: number | null): void {
    this.#add("outcome", id, outcomeDigest(id, outcome, outcomeAtMs));
  }

  /** Links a gap; its ids are not given again. */
  lost(loss: Loss): void {
    this.#addDetailed("lost", loss.lastId, loss);
    this.#skipIds.run(loss.lastId);
  }

  /** Retention deleted the rows up to `throughId`. */
  removed(throughId: number): void {
    if (this.#lastGone.get(throughId) === null) return; // None of them was chained.
    const kept = this.#firstKept.get(throughId);
    const last = kept ? this.#bySeq.get(kept.seq - 1) : this.#newest.get();
    if (last === null) return;
    this.#addDetailed("removed", throughId, { throughId, ...last } satisfies Removed);
    this.#remove.run(last.seq);
  }

  #addDetailed(kind: LinkKind, decisionId: number, content: object): void {
    const detail = JSON.stringify(content);
    this.#add(kind, decisionId, sha256(detail), detail);
  }

  #add(kind: LinkKind, decisionId: number, digest: string, detail: string | null = null): string {
    let before = this.#newest.get();
    if (before === null && kind !== "begin") {
      this.#addDetailed("begin", this.newestId(), {});
      before = this.#newest.get();
    }
    const link = { seq: (before?.seq ?? 0) + 1, kind, decisionId, digest };
    const hash = linkHash(before ?? chainStart, link);
    this.#insert.run(link.seq, kind, decisionId, detail, digest, hash);
    return hash;
  }
}
