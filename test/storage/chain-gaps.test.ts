/** What leaves the chain in order: retention, an older schema, a disk that takes nothing. */

import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { ConductorDatabase } from "../../src/storage/database.ts";
import { DecisionBacklog } from "../../src/storage/decision-backlog.ts";
import { DecisionChain } from "../../src/storage/decision-chain.ts";
import { Decisions } from "../../src/storage/decisions.ts";
import { migrate, migrations } from "../../src/storage/migrations.ts";
import { WriteGuard } from "../../src/storage/write-guard.ts";
import { draftAt } from "./rows.ts";
import { afterwards, recordedLog, storageAt, undoAll } from "./scratch.ts";
import { fresh, tamper, verified } from "./verified.ts";

afterEach(undoAll);

describe("retention", () => {
  test("leaves a chain that goes on from what it deleted", async () => {
    const clock = new VirtualClock(20_000);
    const path = fresh();
    const retention = { samplesMs: 1e15, metricsMs: 1e15, decisionsMs: 10_000 };
    const storage = storageAt(path, { clock, retention });
    const ids = [1, 2, 3, 4].map((n) => storage.decisions.append(draftAt(8_500 + n * 500)));
    // What came of it stands behind younger decisions, and behind what was deleted.
    storage.decisions.setOutcome(ids[0] ?? 0, [{ done: true }], 12_000);
    expect(verified(path)).toMatchObject({ decisions: 4, removedThroughId: null, broken: null });
    const head = storage.decisions.head?.hash ?? "";
    storage.maintain();
    expect(verified(path, head)).toMatchObject({
      decisions: 2,
      firstAtMs: 10_000,
      removedThroughId: 2,
      sinceExpected: 1,
      broken: null,
    });
    storage.decisions.append(draftAt(20_000));
    expect(verified(path)).toMatchObject({ decisions: 3, broken: null });
    await clock.advance(15_000);
    storage.maintain();
    expect(verified(path)).toMatchObject({ decisions: 0, removedThroughId: 5, links: 1, broken: null });
    expect(storage.decisions.append(draftAt(35_000))).toBe(6);
    storage.close();
    expect(verified(path)).toMatchObject({ decisions: 1, links: 2, broken: null });

    tamper(path, "UPDATE decision_chain SET detail = replace(detail, '\"throughId\":5', '\"throughId\":6')");
    tamper(path, "DELETE FROM decisions");
    expect(verified(path).broken).toMatchObject({ kind: "changed-link" });
  });

  test("deletes a run from the oldest on: a decision of a clock that was ahead goes with what follows it", async () => {
    const clock = new VirtualClock(100_000);
    const retention = { samplesMs: 1e15, metricsMs: 1e15, decisionsMs: 10_000 };
    const path = fresh();
    const storage = storageAt(path, { clock, retention });
    for (const atMs of [50_000, 900_000, 60_000, 95_000, 1_000, 96_000])
      storage.decisions.append(draftAt(atMs));
    storage.maintain();
    expect(storage.decisions.list().decisions.map(({ id }) => id)).toEqual([6, 5, 4]);
    expect(verified(path)).toMatchObject({ decisions: 3, removedThroughId: 3, broken: null });
    await clock.advance(5_001);
    storage.maintain();
    expect(storage.decisions.list().decisions.map(({ id }) => id)).toEqual([6]);
    expect(verified(path).broken).toBeNull();
  });
});

test("rows of before the chain are counted as such, and it begins after them", async () => {
  const path = fresh();
  const old = new Database(path, { create: true });
  const before = migrations.findIndex(({ name }) => name === "decision_chain");
  migrate(old, path, migrations.slice(0, before));
  for (let n = 1; n <= 3; n++)
    old.run(
      "INSERT INTO decisions (at_ms, policy, rule, reason, inputs, forecast, plan, actions, alternatives, plugins) VALUES (?, 'mission', 'shed', 'old', '{}', 'null', '[]', '[]', '[]', '[]')",
      [n],
    );
  old.close();
  const clock = new VirtualClock(100);
  const retention = { samplesMs: 1e15, metricsMs: 1e15, decisionsMs: 98 };
  const storage = storageAt(path, { clock, retention });
  expect(verified(path)).toMatchObject({ decisions: 0, unchained: 3, links: 0, broken: null });
  expect(storage.decisions.append(draftAt(50))).toBe(4);
  expect(verified(path)).toMatchObject({ decisions: 1, unchained: 3, links: 2, broken: null });
  storage.maintain();
  expect(verified(path)).toMatchObject({ decisions: 1, unchained: 2, removedThroughId: null, broken: null });
  await clock.advance(100);
  storage.maintain();
  expect(verified(path)).toMatchObject({ decisions: 0, unchained: 0, removedThroughId: 4, broken: null });
});

describe("what could not be written", () => {
  test("and had to be thrown away stands in the chain as a counted gap, and its numbers are not given again", () => {
    const path = fresh();
    const database = ConductorDatabase.open(path, { clock: new VirtualClock() });
    const { log } = recordedLog();
    const guard = new WriteGuard(database, null, log, () => undefined);
    const backlog = new DecisionBacklog({ decisions: 2, characters: 1e6, outcomes: 1 });
    const decisions = new Decisions(database, guard, new DecisionChain(database), backlog);
    decisions.append(draftAt(1));
    decisions.append(draftAt(2));
    const other = new Database(path);
    afterwards(() => other.close());
    other.run("BEGIN IMMEDIATE");
    for (let n = 3; n <= 6; n++) decisions.append(draftAt(n));
    decisions.setOutcome(6, { kept: true }, 7);
    decisions.setOutcome(1, { lost: true }, 8);
    decisions.setOutcome(2, { kept: true }, 9);
    expect(decisions.lost).toBe(3);
    other.run("ROLLBACK");
    expect(decisions.flush()).toBe(true);
    expect(verified(path)).toMatchObject({
      decisions: 4,
      lost: { decisions: 2, outcomes: 1 },
      broken: null,
    });
    // Refused for good, with nothing after it.
    const refused = decisions.append(draftAt(Number.NaN));
    expect(verified(path)).toMatchObject({ decisions: 4, lost: { decisions: 3, outcomes: 1 }, broken: null });
    database.close();
    expect(storageAt(path).decisions.append(draftAt(10))).toBe(refused + 1);
    expect(verified(path)).toMatchObject({ decisions: 5, broken: null });
  }, 20_000);

  test("of texts that SQLite gives back otherwise does not break the chain", () => {
    const path = fresh();
    const storage = storageAt(path);
    for (const text of ["half a \ud83d character", "a \0 in it", "\u{1f600}".repeat(40_000), "ü\u0308\r\n"])
      storage.decisions.append({ ...draftAt(1.5), reason: text, inputs: { text } });
    const id = storage.decisions.append(draftAt(2));
    storage.decisions.setOutcome(id, { text: "\udc00\0" }, 3.25);
    expect(verified(path)).toMatchObject({ decisions: 5, broken: null });
  });
});
