/** conductor breakers: against a conductor that runs, and runs again. */

import { expect, test } from "bun:test";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { RunningConductor } from "../e2e/running-conductor.ts";
import { calm, quick, roomyBudget } from "../e2e/thresholds.ts";

const defer = cleanUpAfterEach();
const config = `budget: { memory: ${roomyBudget()} }\n${quick}plugins: { config: { android: { port: 0 } } }\n${calm}`;

async function start(folder?: string): Promise<RunningConductor> {
  const running = await RunningConductor.start({ config, ...(folder === undefined ? {} : { folder }) });
  defer(() => running.kill());
  return running;
}

const ask = (running: RunningConductor, ...args: string[]) =>
  conductor(["breakers", ...args, "--port", running.port], {
    cwd: running.folder,
    environment: { STATE_DIRECTORY: `${running.folder}/state` },
  });

test("one isolated by hand stays so over a kill and a new start, and is closed by hand", async () => {
  const first = await start();
  defer(() => first.remove());
  expect((await ask(first)).out).toMatch(/^voice +closed +0 +0 +- +\S+ +no failure yet \(requests\)$/m);
  const isolated = await ask(first, "isolate", "voice", "--reason", "repairs");
  expect([isolated.code, isolated.err]).toEqual([0, ""]);
  await first.kill();
  const second = await start(first.folder);
  expect((await ask(second, "voice")).out).toMatch(/^voice +isolated +0 +0 +- +\S+ +repairs \(person\)$/m);
  const metrics = await (await fetch(second.url("/metrics"))).text();
  expect(metrics).toContain('circuit_breaker_state{platform="voice",state="open"} 1');
  const closed = await ask(second, "close", "voice", "--reason", "repaired", "-o", "json");
  expect(JSON.parse(closed.out)).toMatchObject({
    state: "closed",
    moves: [
      { from: "open", to: "closed", reason: "repaired", movedBy: "person" },
      { from: "closed", to: "open", reason: "isolated: repairs", movedBy: "person" },
    ],
  });
  expect((await ask(second, "voice")).out).toMatch(/^\S+ +open > closed +person +repaired$/m);
}, 60_000);

test.each([
  [["opn", "voice", "--reason", "x"], 'opn: did you mean "open"?'],
  [["open", "--reason", "x"], "open: expected the name of a platform"],
  [["close", "voice"], "close: expected --reason TEXT, for who reads it later"],
  [["voice", "--reason", "x"], "--reason: only with open, close, isolate"],
])("%j is wrong usage", async (args, message) => {
  const { code, err } = await conductor(["breakers", ...args, "--port", "1"], { cwd: scratchFolder(defer) });
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
});
