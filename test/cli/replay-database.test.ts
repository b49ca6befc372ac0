/** replay on what a real conductor recorded: its decisions come out again, to the byte; a changed record is shown. */

import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { ReplayReport } from "../../src/cli/replay.ts";
import { cleanUpAfterEach } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { RunningConductor, until } from "../e2e/running-conductor.ts";
import { calm, pressing, quick, roomyBudget } from "../e2e/thresholds.ts";

const defer = cleanUpAfterEach();
/** Several simulations, on cores that others use too. */
setDefaultTimeout(60_000);

/** Sheds three plugins and restores them; yields the folder and the database of a conductor that has ended. */
async function recorded(): Promise<{ folder: string; database: string }> {
  const config = `budget: { memory: ${roomyBudget()} }\n${quick}`;
  const running = await RunningConductor.start({ config: config + calm });
  defer(() => running.remove());
  defer(() => running.kill());
  for (const name of ["voice", "android", "discord", "stubs"]) await running.request(name, "hello");
  running.reload(config + (await pressing(running)));
  const states = (wanted: string) => async () => {
    const all = await running.states();
    return ["voice", "android", "discord"].every((name) => all[name] === wanted);
  };
  await until("three are shed", 20_000, states("shed"));
  running.reload(config + calm);
  await until("three are restored", 20_000, states("ready"));
  expect(await running.terminate()).toBe(0);
  return { folder: running.folder, database: join(running.folder, "state/conductor.db") };
}

const json = async (cwd: string, ...args: string[]) => {
  const { code, out, err } = await conductor(["replay", ...args, "-o", "json"], { cwd });
  return { code, err, report: JSON.parse(out) as ReplayReport };
};

test("every decision of a real conductor is reproduced; a changed one is exit 1 and shown; a newer schema is refused", async () => {
  const { folder, database } = await recorded();
  const { code, err, report } = await json(folder, database);
  expect([code, err]).toEqual([0, ""]);
  expect(report.again).toMatchObject({ differentCount: 0, unusable: {} });
  const total = report.again?.decisions ?? 0;
  expect(total).toBeGreaterThanOrEqual(6);
  expect(report.again?.reproduced).toBe(total);
  const text = await conductor(["replay", database], { cwd: folder });
  expect(text.out).toStartWith(`${total} of ${total} decisions reproduced\n`);

  const handle = new Database(database, { strict: true });
  defer(() => handle.close());
  handle.run(
    "UPDATE decisions SET reason = replace(reason, 'the first', 'the last') WHERE rule <> 'restore'",
  );
  const changed = await conductor(["replay", database], { cwd: folder });
  expect(changed.code).toBe(1);
  expect(changed.out).toContain("comes out otherwise: reason");
  expect(changed.out).toMatch(/recorded: .*voice.* is the last in the degradation order/);
  expect(changed.out).toMatch(/now: {6}.*voice.* is the first in the degradation order/);

  handle.run('UPDATE decisions SET inputs = \'{"truncated":true,"characters":70000}\' WHERE id = 1');
  const lost = await json(folder, database);
  expect(lost.report.again?.unusable).toEqual({ "its inputs were too long to be kept": 1 });

  handle.run("PRAGMA user_version = 999");
  const newer = await conductor(["replay", database], { cwd: folder });
  expect([newer.code, newer.out]).toEqual([1, ""]);
  expect(newer.err).toContain("was written by a newer conductor (schema 999, this one knows");
});
