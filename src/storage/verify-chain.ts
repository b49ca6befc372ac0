/**
 * Looks through the whole chain: each link against the one before it, each decision and its outcome against its link. Reads
 * only, in one snapshot, beside a conductor that writes. Holds one page of links and one row at a time.
 */

import * as z from "zod";
import type { ChainBreak, ChainReport } from "./chain-report.ts";
import type { ConductorDatabase } from "./database.ts";
import {
  chainStart,
  decisionDigest,
  type Head,
  type Link,
  linkColumns,
  linkHash,
  outcomeDigest,
  sha256,
} from "./decision-chain.ts";
import type { DecisionRow } from "./decision-row.ts";
import { decisionColumns } from "./decisions.ts";

/** Links read at once. */
const pageLinks = 500;

const removedSchema = z.object({ throughId: z.int(), seq: z.int(), hash: z.string() });
const lostSchema = z.object({ decisions: z.int(), outcomes: z.int() });

/** The JSON of a link's detail as `schema` wants it; null when it is not that. */
function detailOf<T>({ detail }: Link, schema: z.ZodType<T>): T | null {
  try {
    return schema.safeParse(JSON.parse(detail ?? "null")).data ?? null;
  } catch {
    return null; // No JSON: not what conductor writes, which is what null says.
  }
}

class ChainBroken extends Error {
  constructor(readonly found: ChainBreak) {
    super(found.detail);
  }
}

/** Ends the walk: only the first break is of use, what follows may follow from it. */
function breaks(
  kind: ChainBreak["kind"],
  decisionId: number | null,
  seq: number | null,
  detail: string,
): never {
  throw new ChainBroken({ kind, decisionId, seq, detail });
}

/**
 * The report; `expectedHash` (64 hex digits) is a head that was noted earlier, which has to be in the chain. Throws
 * StorageError where the file cannot be read.
 */
export function verifyChain(database: ConductorDatabase, expectedHash: string | null = null): ChainReport {
  return database.read(() => {
    database.handle.run("BEGIN");
    try {
      return new ChainWalk(database, expectedHash).run();
    } finally {
      database.handle.run("ROLLBACK");
    }
  });
}

class ChainWalk {
  readonly #report: ChainReport = {
    decisions: 0,
    firstAtMs: null,
    lastAtMs: null,
    unchained: 0,
    links: 0,
    lost: { decisions: 0, outcomes: 0 },
    removedThroughId: null,
    head: null,
    sinceExpected: null,
    broken: null,
  };
  #before: Head = chainStart;
  #expectedSeq: number | null = null;
  #lastDecisionId = 0;
  /** Rows up to this id may be without a link. */
  #unchainedThroughId = 0;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly expectedHash: string | null,
  ) {}

  run(): ChainReport {
    const report = this.#report;
    try {
      this.#begin();
      this.#walk();
      this.#rowsWithoutLink();
      this.#end();
    } catch (error) {
      if (!(error instanceof ChainBroken)) throw error;
      report.broken = error.found;
    }
    if (this.#expectedSeq !== null) report.sinceExpected = (report.head?.seq ?? 0) - this.#expectedSeq;
    return report;
  }

  #one<Row>(sql: string, ...values: (number | string)[]): Row | null {
    return this.database.handle.query(sql).get(...values) as Row | null;
  }

  /** Where the chain goes on from, after what retention took. That link is checked when the walk comes to it. */
  #begin(): void {
    const newest = this.#one<Link>(
      `SELECT ${linkColumns} FROM decision_chain WHERE kind = 'removed' ORDER BY decision_id DESC, seq DESC LIMIT 1`,
    );
    this.#report.head = this.#one<Head>("SELECT seq, hash FROM decision_chain ORDER BY seq DESC LIMIT 1");
    if (newest === null) return;
    const removed = detailOf(newest, removedSchema);
    if (removed === null)
      breaks(
        "changed-link",
        newest.decisionId,
        newest.seq,
        `link ${newest.seq}, of what retention deleted, was changed`,
      );
    this.#before = { seq: removed.seq, hash: removed.hash };
    this.#report.removedThroughId = removed.throughId;
    if (removed.hash === this.expectedHash) this.#expectedSeq = removed.seq;
  }

  #walk(): void {
    const page = this.database.handle.query(
      `SELECT ${linkColumns} FROM decision_chain WHERE seq > ? ORDER BY seq LIMIT ${pageLinks}`,
    );
    // From the very first one on, also where retention is said to have taken some.
    for (let after = -1; ; ) {
      const links = page.all(after) as Link[];
      for (const link of links) this.#link(link);
      const last = links.at(-1);
      if (last === undefined) return;
      after = last.seq;
    }
  }

  #link(link: Link): void {
    const { seq, decisionId, digest, hash } = link;
    const before = this.#before;
    if (seq !== before.seq + 1) {
      const gone =
        seq - 1 > before.seq + 1 ? `links ${before.seq + 1} to ${seq - 1} are` : `link ${seq - 1} is`;
      const extra = `link ${seq} stands before the first that retention left`;
      breaks("missing-link", decisionId, seq, seq > before.seq ? `${gone} missing before it` : extra);
    }
    if (linkHash(before, link) !== hash)
      breaks(
        "changed-link",
        decisionId,
        seq,
        `link ${seq} (${link.kind}) does not follow from the one before: one of the two was changed`,
      );
    if (link.kind !== "decision" && link.kind !== "outcome" && digest !== sha256(link.detail ?? ""))
      breaks("changed-link", decisionId, seq, `what link ${seq} (${link.kind}) says was changed`);
    this.#content(link);
    if (hash === this.expectedHash) this.#expectedSeq = seq;
    this.#before = link;
    this.#report.links++;
  }

  #content(link: Link): void {
    const { lost } = this.#report;
    if (link.kind === "decision") this.#decision(link);
    else if (link.kind === "begin") this.#unchainedThroughId = link.decisionId;
    else if (link.kind === "lost") {
      const more = detailOf(link, lostSchema);
      lost.decisions += more?.decisions ?? 0;
      lost.outcomes += more?.outcomes ?? 0;
    }
  }

  #decision({ seq, decisionId, digest, hash }: Link): void {
    const row = this.#one<DecisionRow>(`SELECT ${decisionColumns} FROM decisions WHERE id = ?`, decisionId);
    if (row === null) breaks("missing-row", decisionId, seq, "its row was removed");
    if (decisionDigest(row) !== digest || row.hash !== hash)
      breaks("changed-row", decisionId, seq, "its row is not as it was appended");
    const outcome = this.#one<{ digest: string }>(
      "SELECT digest FROM decision_chain WHERE kind = 'outcome' AND decision_id = ? ORDER BY seq DESC LIMIT 1",
      decisionId,
    );
    const none = row.outcome === null && row.outcomeAtMs === null;
    const found = none ? null : outcomeDigest(decisionId, row.outcome, row.outcomeAtMs);
    if (found !== (outcome?.digest ?? null))
      breaks("changed-outcome", decisionId, seq, outcomeBreak(none, outcome === null));
    this.#lastDecisionId = decisionId;
    const report = this.#report;
    report.decisions++;
    report.firstAtMs ??= row.atMs;
    report.lastAtMs = row.atMs;
  }

  /** Rows that were put in beside the chain. */
  #rowsWithoutLink(): void {
    const { links, decisions } = this.#report;
    const unchained = this.#one<{ rows: number; first: number | null; last: number | null }>(
      "SELECT count(*) AS rows, min(id) AS first, max(id) AS last FROM decisions WHERE hash IS NULL",
    );
    this.#report.unchained = unchained?.rows ?? 0;
    const [first, last] = [unchained?.first ?? 1, unchained?.last ?? 0];
    // conductor's own numbers begin with 1.
    if (links > 0 && (first < 1 || last > this.#unchainedThroughId))
      breaks("foreign-row", first < 1 ? first : last, null, foreignRow);
    const chained = this.#one<{ rows: number }>(
      "SELECT count(*) AS rows FROM decisions WHERE hash IS NOT NULL",
    );
    if ((chained?.rows ?? 0) === decisions) return;
    const foreign = this.#one<{ id: number }>(
      `SELECT id FROM decisions WHERE hash IS NOT NULL
         AND id NOT IN (SELECT decision_id FROM decision_chain WHERE kind = 'decision') ORDER BY id LIMIT 1`,
    );
    breaks("foreign-row", foreign?.id ?? null, null, foreignRow);
  }

  /** What is cut off at the end leaves the counter of the table behind, unless that was set back too. */
  #end(): void {
    const counter = this.#one<{ seq: number }>(
      "SELECT seq FROM sqlite_sequence WHERE name = 'decision_chain'",
    );
    const gone = (counter?.seq ?? 0) - (this.#report.head?.seq ?? 0);
    if (gone > 0)
      breaks(
        "truncated",
        this.#lastDecisionId || null,
        this.#report.head?.seq ?? null,
        gone === 1 ? "the newest link after it is gone" : `the newest ${gone} links after it are gone`,
      );
    if (this.expectedHash !== null && this.#expectedSeq === null)
      breaks(
        "other-head",
        null,
        null,
        "the noted hash is not in the chain: links were cut off or written anew since it was noted, or retention has deleted as far as that",
      );
  }
}

const foreignRow = "its row was put in: it is not in the chain";

function outcomeBreak(none: boolean, neverRecorded: boolean): string {
  if (none) return "what came of it was removed";
  return neverRecorded
    ? "an outcome was put in that was never recorded"
    : "what came of it is not as it was recorded";
}
