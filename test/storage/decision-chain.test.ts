/** Tampering with a real database file: each way is found, and named. */

import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import type { ChainBreak } from "../../src/storage/chain-report.ts";
import { decisionDigest, linkHash, outcomeDigest } from "../../src/storage/decision-chain.ts";
import { draftAt } from "./rows.ts";
import { storageAt, thrownBy, undoAll } from "./scratch.ts";
import { fresh, tamper, verified } from "./verified.ts";

afterEach(undoAll);

/** Eight decisions at 1,000, 2,000, …; those before the last have an outcome, in two parts. */
function recorded(): { path: string; head: string } {
  const path = fresh();
  const storage = storageAt(path);
  for (let n = 1; n <= 8; n++) {
    const id = storage.decisions.append(draftAt(n * 1_000, ["voice"], { n }));
    if (n === 8) break;
    storage.decisions.setOutcome(id, [{ plugin: "voice", done: false }], n * 1_000 + 1);
    storage.decisions.setOutcome(id, [{ plugin: "voice", done: true }], n * 1_000 + 2);
  }
  const head = storage.decisions.head?.hash ?? "";
  storage.close();
  return { path, head };
}

const breakOf = (path: string, expected?: string): ChainBreak | null => verified(path, expected).broken;

test("a chain that nobody touched holds, with its span and its head", () => {
  const { path, head } = recorded();
  expect(verified(path)).toEqual({
    decisions: 8,
    firstAtMs: 1_000,
    lastAtMs: 8_000,
    unchained: 0,
    // The beginning, eight decisions, two outcomes of seven.
    links: 1 + 8 + 14,
    lost: { decisions: 0, outcomes: 0 },
    removedThroughId: null,
    head: { seq: 23, hash: head },
    sinceExpected: null,
    broken: null,
  });
  expect(head).toMatch(/^[0-9a-f]{64}$/);
  expect(verified(path, head)).toMatchObject({ sinceExpected: 0, broken: null });
  const storage = storageAt(path);
  storage.decisions.append(draftAt(9_000));
  // Beside the conductor that writes, and the noted head is an older one now.
  expect(verified(path, head)).toMatchObject({ decisions: 9, sinceExpected: 1, broken: null });
});

test("an empty record is no broken one, but cannot hold a noted hash", () => {
  const path = fresh();
  storageAt(path).close();
  expect(verified(path)).toMatchObject({ decisions: 0, links: 0, head: null, broken: null });
  expect(breakOf(path, "a".repeat(64))).toMatchObject({ kind: "other-head" });
});

describe("tampering is found", () => {
  const swapped = (column: string) =>
    `UPDATE decisions SET ${column} = (SELECT ${column} FROM decisions AS other WHERE other.id = 9 - decisions.id) WHERE id IN (4, 5)`;
  const table: [what: string, statements: string[], found: Partial<ChainBreak>][] = [
    [
      "a changed reason",
      ["UPDATE decisions SET reason = 'all was well' WHERE id = 3"],
      { kind: "changed-row", decisionId: 3 },
    ],
    ...[
      "at_ms",
      "policy",
      "rule",
      "inputs",
      "forecast",
      "plan",
      "actions",
      "alternatives",
      "plugins",
      "hash",
    ].map((column): [string, string[], Partial<ChainBreak>] => [
      `a changed ${column}`,
      [`UPDATE decisions SET ${column} = ${column === "at_ms" ? 5 : "'[1]'"} WHERE id = 6`],
      { kind: "changed-row", decisionId: 6 },
    ]),
    ["a deleted row", ["DELETE FROM decisions WHERE id = 2"], { kind: "missing-row", decisionId: 2 }],
    [
      "a deleted row with its link",
      [
        "DELETE FROM decisions WHERE id = 2",
        "DELETE FROM decision_chain WHERE kind = 'decision' AND decision_id = 2",
      ],
      { kind: "missing-link", seq: 6 },
    ],
    [
      "the oldest rows deleted with their links",
      ["DELETE FROM decisions WHERE id <= 2", "DELETE FROM decision_chain WHERE seq <= 7"],
      { kind: "missing-link", decisionId: 3 },
    ],
    [
      "the newest row deleted",
      ["DELETE FROM decisions WHERE id = 8"],
      { kind: "missing-row", decisionId: 8 },
    ],
    [
      "a changed outcome",
      ["UPDATE decisions SET outcome = '[]' WHERE id = 4"],
      { kind: "changed-outcome", decisionId: 4, detail: "what came of it is not as it was recorded" },
    ],
    [
      "a changed time of an outcome",
      ["UPDATE decisions SET outcome_at_ms = 1 WHERE id = 4"],
      { kind: "changed-outcome", decisionId: 4 },
    ],
    [
      "a removed outcome",
      ["UPDATE decisions SET outcome = NULL, outcome_at_ms = NULL WHERE id = 4"],
      { kind: "changed-outcome", decisionId: 4, detail: "what came of it was removed" },
    ],
    [
      "an outcome set back to an earlier one",
      [
        `UPDATE decisions SET outcome = '[{"plugin":"voice","done":false}]', outcome_at_ms = 4001 WHERE id = 4`,
      ],
      { kind: "changed-outcome", decisionId: 4 },
    ],
    [
      "an invented outcome",
      ["UPDATE decisions SET outcome = '[]', outcome_at_ms = 1 WHERE id = 8"],
      { kind: "changed-outcome", decisionId: 8, detail: "an outcome was put in that was never recorded" },
    ],
    [
      "two swapped rows",
      [
        "UPDATE decisions SET id = 100 WHERE id = 4",
        "UPDATE decisions SET id = 4 WHERE id = 5",
        "UPDATE decisions SET id = 5 WHERE id = 100",
      ],
      { kind: "changed-row", decisionId: 4 },
    ],
    [
      "the reasons of two rows swapped",
      ["UPDATE decisions SET reason = 'of ' || id", swapped("reason")],
      { kind: "changed-row", decisionId: 1 },
    ],
    [
      "a row put in with a number of before",
      [
        "INSERT INTO decisions SELECT 0, at_ms, policy, rule, reason, inputs, forecast, plan, actions, alternatives, plugins, outcome, outcome_at_ms, NULL FROM decisions WHERE id = 8",
      ],
      { kind: "foreign-row" },
    ],
    [
      "a row put in that claims to be of before the chain",
      [
        "INSERT INTO decisions SELECT 50, at_ms, policy, rule, reason, inputs, forecast, plan, actions, alternatives, plugins, outcome, outcome_at_ms, NULL FROM decisions WHERE id = 8",
      ],
      { kind: "foreign-row", decisionId: 50 },
    ],
    [
      "a row put in with a hash",
      [
        "INSERT INTO decisions SELECT 50, at_ms, policy, rule, reason, inputs, forecast, plan, actions, alternatives, plugins, outcome, outcome_at_ms, hash FROM decisions WHERE id = 8",
      ],
      { kind: "foreign-row", decisionId: 50 },
    ],
    ["a removed link", ["DELETE FROM decision_chain WHERE seq = 5"], { kind: "missing-link", seq: 6 }],
    [
      "a changed link",
      ["UPDATE decision_chain SET digest = 'x' WHERE seq = 5"],
      { kind: "changed-link", seq: 5 },
    ],
    [
      "a chain that claims to begin later",
      ["UPDATE decision_chain SET decision_id = 7 WHERE kind = 'begin'"],
      { kind: "changed-link", seq: 1 },
    ],
    [
      "the newest links cut off",
      ["DELETE FROM decisions WHERE id >= 7", "DELETE FROM decision_chain WHERE seq > 19"],
      { kind: "truncated" },
    ],
    [
      "the whole chain taken away",
      ["UPDATE decisions SET hash = NULL", "DELETE FROM decision_chain"],
      { kind: "truncated" },
    ],
  ];
  test.each(table)("%s", (_, statements, found) => {
    const { path, head } = recorded();
    tamper(path, ...statements);
    expect(breakOf(path)).toMatchObject(found);
    expect(breakOf(path, head)).not.toBeNull();
  });

  test("a row changed together with its link, hash and all, breaks at the next link", () => {
    const { path } = recorded();
    const raw = new Database(path);
    raw.run("UPDATE decisions SET reason = 'all was well' WHERE id = 1");
    const columns = `id, at_ms AS atMs, policy, rule, reason, inputs, forecast, plan, actions, alternatives, plugins`;
    const row = raw.query(`SELECT ${columns} FROM decisions WHERE id = 1`).get() as Parameters<
      typeof decisionDigest
    >[0];
    const before = raw.query("SELECT seq, hash FROM decision_chain WHERE seq = 1").get() as {
      seq: number;
      hash: string;
    };
    const digest = decisionDigest(row);
    const hash = linkHash(before, { seq: 2, kind: "decision", decisionId: 1, digest });
    raw.run("UPDATE decision_chain SET digest = ?, hash = ? WHERE seq = 2", [digest, hash]);
    raw.run("UPDATE decisions SET hash = ? WHERE id = 1", [hash]);
    raw.close();
    expect(breakOf(path)).toMatchObject({ kind: "changed-link", seq: 3, decisionId: 1 });
  });

  test("a tail cut off with care is seen only by who noted the head", () => {
    const { path, head } = recorded();
    const early = (() => {
      const raw = new Database(path);
      const { hash } = raw.query("SELECT hash FROM decision_chain WHERE seq = 5").get() as { hash: string };
      raw.close();
      return hash;
    })();
    tamper(
      path,
      "DELETE FROM decisions WHERE id >= 7",
      "DELETE FROM decision_chain WHERE decision_id >= 7",
      "UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM decision_chain) WHERE name = 'decision_chain'",
    );
    expect(verified(path)).toMatchObject({ decisions: 6, broken: null });
    expect(breakOf(path, head)).toMatchObject({ kind: "other-head", decisionId: null });
    expect(verified(path, early)).toMatchObject({ sinceExpected: 1 + 6 + 12 - 5, broken: null });
  });
});

test("a transaction that fails in the middle leaves no link behind", () => {
  const path = fresh();
  const storage = storageAt(path);
  storage.decisions.append(draftAt(1));
  const before = storage.decisions.head;
  storage.decisions.append(draftAt(Number.NaN));
  storage.decisions.append(draftAt(2));
  // The refused one is a gap of its own: one link, and one for the decision after it.
  expect(storage.decisions.head?.seq).toBe((before?.seq ?? 0) + 2);
  expect(verified(path)).toMatchObject({ decisions: 2, lost: { decisions: 1 }, broken: null });
});

test("the digests tell apart what stands in different fields", () => {
  const row = (reason: string, rule: string) =>
    decisionDigest({ ...(draftAt(1) as never as Parameters<typeof decisionDigest>[0]), id: 1, reason, rule });
  expect(row("ab", "c")).not.toBe(row("a", "bc"));
  expect(outcomeDigest(1, "null", null)).not.toBe(outcomeDigest(1, null, null));
});

test("a file that cannot be read is refused with the reason", () => {
  const { path } = recorded();
  tamper(path, "PRAGMA user_version = 999");
  expect(thrownBy(() => verified(path))).toMatchObject({ code: "STORAGE_NEWER" });
  expect(thrownBy(() => verified(`${path}.none`))).toMatchObject({ code: "STORAGE_MISSING" });
});
