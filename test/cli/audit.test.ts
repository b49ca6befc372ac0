/** audit: against a database file that was tampered with, and beside a conductor that runs. */

import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { conductor } from "../e2e/one-command.ts";
import { RunningConductor, until } from "../e2e/running-conductor.ts";
import { calm, pressing, quick, roomyBudget } from "../e2e/thresholds.ts";
import { draftAt } from "../storage/rows.ts";
import { afterwards, scratchFolder, storageAt, undoAll } from "../storage/scratch.ts";
import { fresh, tamper } from "../storage/verified.ts";

afterEach(undoAll);

/** Three decisions, each with its outcome. */
function recorded(): string {
  const path = fresh();
  const storage = storageAt(path);
  for (let n = 1; n <= 3; n++) {
    const id = storage.decisions.append(draftAt(Date.UTC(2026, 0, n)));
    storage.decisions.setOutcome(id, [{ plugin: "voice", done: true }], Date.UTC(2026, 0, n) + 1);
  }
  storage.close();
  return path;
}

const audit = (...args: string[]) => conductor(["audit", ...args], { cwd: scratchFolder() });

async function headOf(path: string): Promise<string> {
  const { code, out, err } = await audit("head", "--database", path);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toMatch(/^[0-9a-f]{64}\n$/);
  return out.trim();
}

test("verify of what nobody touched says what it covers, and with a noted head that nothing is missing", async () => {
  const path = recorded();
  const head = await headOf(path);
  const plain = await audit("verify", "--database", path);
  expect([plain.code, plain.err]).toEqual([0, ""]);
  expect(plain.out).toBe(
    `3 decisions, from 2026-01-01T00:00:00.000Z to 2026-01-03T00:00:00.000Z, chain intact, head ${head}\n` +
      "without --expect a chain that was cut off at its end, or written anew, cannot be told\n",
  );
  const noted = await audit("verify", "--database", path, "--expect", head.toUpperCase());
  expect([noted.code, noted.out.split("\n")[1]]).toEqual([
    0,
    "the noted hash is the head: nothing was cut off",
  ]);
  const json = await audit("verify", "--database", path, "-o", "json");
  expect(JSON.parse(json.out)).toMatchObject({
    database: path,
    intact: true,
    decisions: 3,
    head: { hash: head },
  });
});

test("verify names the decision that was tampered with, and how: exit 1", async () => {
  const path = recorded();
  tamper(path, "UPDATE decisions SET reason = 'all was well' WHERE id = 2");
  const found = await audit("verify", "--database", path);
  expect([found.code, found.out]).toEqual([1, ""]);
  expect(found.err).toBe(
    "conductor: the audit does not hold at decision 2 (link 4), changed-row: its row is not as it was appended; 1 decision before it verified\n",
  );
  const json = await audit("verify", "--database", path, "-o", "json");
  expect([json.code, JSON.parse(json.out)]).toMatchObject([
    1,
    { intact: false, broken: { decisionId: 2, kind: "changed-row" } },
  ]);

  const cut = recorded();
  const cutHead = await headOf(cut);
  tamper(
    cut,
    "DELETE FROM decisions WHERE id = 3",
    "DELETE FROM decision_chain WHERE decision_id = 3",
    "UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM decision_chain) WHERE name = 'decision_chain'",
  );
  expect((await audit("verify", "--database", cut)).code).toBe(0);
  const missed = await audit("verify", "--database", cut, "--expect", cutHead);
  expect(missed.code).toBe(1);
  expect(missed.err).toContain("the noted hash is not in the chain");
});

test("export is a line of JSON for each decision, the oldest first, from --since on", async () => {
  const path = recorded();
  const { code, out, err } = await audit("export", "--database", path, "--since", "2026-01-02T00:00:00Z");
  expect([code, err]).toEqual([0, ""]);
  const lines = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toMatchObject([
    { id: 2, at: "2026-01-02T00:00:00.000Z", reason: "memory is at 83 %", outcome: [{ plugin: "voice" }] },
    { id: 3, at: "2026-01-03T00:00:00.000Z", outcomeAt: "2026-01-03T00:00:00.001Z" },
  ]);
  expect(lines[0]?.hash).toMatch(/^[0-9a-f]{64}$/);
});

describe("what cannot be read", () => {
  test("is refused with the reason", async () => {
    const newer = recorded();
    tamper(newer, "PRAGMA user_version = 999");
    const damaged = fresh();
    writeFileSync(damaged, "platform,bytes\nvoice,12\n".repeat(400));
    const table: [string, RegExp][] = [
      [newer, /was written by a newer conductor \(schema 999/],
      [damaged, /is no SQLite database/],
      [`${newer}.none`, /there is no database/],
    ];
    for (const [path, reason] of table)
      for (const action of ["verify", "head", "export"]) {
        const { code, err } = await audit(action, "--database", path);
        expect([path, action, code]).toEqual([path, action, 1]);
        expect(err).toMatch(reason);
      }
  });

  test.each([
    [[], "audit: expected one of verify, head, export"],
    [["verfy"], 'verfy: did you mean "verify"?'],
    [["head", "x"], "x: unexpected argument; usage: conductor audit head [--database FILE] [-o json]"],
    [
      ["head", "--expect", "x"],
      "--expect: not with head; usage: conductor audit head [--database FILE] [-o json]",
    ],
    [
      ["verify", "--expect", "12"],
      "--expect 12: expected the 64 hex digits that conductor audit head printed",
    ],
    [["export", "--since", "monday"], "--since monday: expected a time such as 2026-01-31T08:00:00Z"],
  ])("%j is wrong usage", async (args, line) => {
    const { code, err } = await audit(...args);
    expect([code, err]).toEqual([2, `conductor: ${line}\n`]);
  });

  test("a state in memory has no file", async () => {
    const cwd = scratchFolder();
    writeFileSync(`${cwd}/conductor.yaml`, 'storage: { path: ":memory:" }\n');
    const { code, err } = await conductor(["audit", "head"], { cwd });
    expect([code, err]).toEqual([
      1,
      "conductor: there is no database file: storage.path is :memory:; name one with --database\n",
    ]);
  });
});

test("beside a conductor that runs, it reads the database of the configuration, and HTTP tells the same head", async () => {
  const base = `budget: { memory: ${roomyBudget()} }\n${quick}plugins: { config: { android: { port: 0 } } }\n`;
  const running = await RunningConductor.start({ config: base + calm });
  afterwards(async () => {
    await running.terminate();
    running.remove();
  });
  const ask = (...args: string[]) =>
    conductor(["audit", ...args], {
      cwd: running.folder,
      environment: { STATE_DIRECTORY: `${running.folder}/state` },
    });
  expect((await ask("head")).err).toMatch(/nothing is chained yet/);
  running.reload(base + (await pressing(running)));
  await until("discord is shed", 10_000, async () => (await running.states()).discord === "shed");
  await until("all is recorded", 5_000, async () => {
    const { decisions } = await running.get<{ decisions: { outcome: string }[] }>(
      "/api/v1/scaling/decisions",
    );
    return decisions.every(({ outcome }) => outcome !== "pending");
  });
  const { head } = await running.get<{ head: { hash: string } }>("/api/v1/scaling/audit");
  const verified = await ask("verify", "--expect", head.hash);
  expect([verified.code, verified.err]).toEqual([0, ""]);
  expect(verified.out).toMatch(/^\d decisions, from .* chain intact, head [0-9a-f]{64}\nthe noted hash is /);
}, 40_000);
