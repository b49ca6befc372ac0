/** The compiled conductor swaps a plugin's versions under load: each request is answered exactly once, by one process. */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { cleanUpAfterEach } from "./clean-up.ts";
import {
  type CountedVersion,
  complaint,
  countedFiles,
  judged,
  talliesOf,
  writeCounted,
} from "./counted-plugin.ts";
import { type LoopAnswer, OpenLoop, postText } from "./open-loop.ts";
import { descendantsOf, processesIn } from "./processes.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { type Swap, SwapOrders } from "./swap-orders.ts";
import { roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();

/** Starts it with version 1.0.0 of the plugin, and requests at 200 a second. */
async function underLoad(base: Partial<CountedVersion> = {}) {
  const files = Object.entries(countedFiles({ version: "1.0.0", ...base })).map(([file, text]) => [
    `plugins/bot/${file}`,
    text,
  ]);
  const conductor = await RunningConductor.start({
    config: `budget: { memory: ${roomyBudget()} }\nplugins: { dirs: [plugins], bundled: false }\n`,
    files: Object.fromEntries(files),
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  const port = Number(conductor.port);
  const loop = new OpenLoop({
    port,
    perSecond: 200,
    text: (id) => postText(port, "/api/v1/requests", { platform: "bot", payload: { id } }),
  });
  loop.start();
  return { conductor, loop, orders: new SwapOrders(conductor) };
}

/** Requests were answered since, so the version that runs now answered some. */
async function answeredMore(loop: OpenLoop): Promise<void> {
  const from = loop.answers.length;
  await until("200 more answers", 20_000, () => {
    return loop.answers.slice(from).filter(({ status }) => status === 200).length >= 200;
  });
}

/** The versions that answered, in the order in which the requests were due, each once for a run of its answers. */
function versionsInOrder(answers: readonly LoopAnswer[]): string[] {
  const runs: string[] = [];
  for (const { body } of answers) {
    const { version } = (JSON.parse(body) as { result: { version: string } }).result;
    if (runs.at(-1) !== version) runs.push(version);
  }
  return runs;
}

/** From the metrics, by outcome. */
async function swapCounts(conductor: RunningConductor): Promise<Record<string, number>> {
  const text = await (await fetch(conductor.url("/metrics"))).text();
  const found = text.matchAll(/^conductor_plugin_swaps_total\{plugin="bot",outcome="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...found].map(([, outcome, count]) => [outcome, Number(count)]));
}

const outcomes = (orders: SwapOrders): Swap["outcome"][] => orders.done.map(({ outcome }) => outcome);

const statesOf = (conductor: RunningConductor): unknown[] =>
  conductor.logged("plugin.state").map(({ to }) => to);

async function endsClean(conductor: RunningConductor): Promise<void> {
  const children = descendantsOf(conductor.pid);
  expect(await conductor.terminate()).toBe(0);
  expect(children.filter((pid) => processesIn(conductor.folder).includes(pid))).toEqual([]);
  expect(processesIn(conductor.folder)).toEqual([]);
}

test("swaps beside lose nothing and answer nothing twice, and the plugin is ready all the while", async () => {
  const { conductor, loop, orders } = await underLoad();
  await answeredMore(loop);
  await orders.written({ version: "1.1.0" });
  await answeredMore(loop);
  const failed = await orders.reload({ version: "1.2.0", fails: "initialize" });
  expect(failed.reason).toContain("no key");
  await answeredMore(loop);
  await orders.reload({ version: "1.3.0" });
  await answeredMore(loop);
  await orders.rollback();
  await answeredMore(loop);
  const answers = await loop.stop();

  const verdict = judged(answers, await talliesOf(conductor));
  expect(complaint(verdict)).toBeNull();
  expect(answers.length).toBeGreaterThan(1_000);
  // Around a swap an answer of the old one may still come after the first of the new one.
  expect([...verdict.byVersion.keys()]).toEqual(["1.0.0", "1.1.0", "1.3.0"]);
  expect(versionsInOrder(answers).at(-1)).toBe("1.1.0");
  expect(statesOf(conductor)).toEqual(["starting", "ready"]);
  expect(outcomes(orders)).toContain("kept_old");
  expect(orders.done.at(-1)).toMatchObject({ outcome: "rolled_back", to: expect.stringContaining("1.1.0") });
  const counts = await swapCounts(conductor);
  const logged = conductor.logged("plugin.swapped");
  expect(counts).toEqual(
    Object.fromEntries(
      ["swapped", "kept_old", "rolled_back"].map((each) => [
        each,
        logged.filter(({ outcome }) => outcome === each).length,
      ]),
    ),
  );
  const { pids } = await conductor.plugin("bot");
  expect(pids).toHaveLength(1);
  await endsClean(conductor);
}, 60_000);

test("a swap in place makes requests wait, and loses none; one that fails brings the old version back", async () => {
  const yaml = "swap: stop-first\n";
  const { conductor, loop, orders } = await underLoad({ yaml });
  await answeredMore(loop);
  await orders.reload({ version: "2.0.0", yaml });
  await answeredMore(loop);
  await orders.reload({ version: "3.0.0", yaml, fails: "initialize" });
  await answeredMore(loop);
  const answers = await loop.stop();

  const verdict = judged(answers, await talliesOf(conductor));
  expect(complaint(verdict)).toBeNull();
  // One process at a time, so the versions cannot overlap; after the failure the one before is back.
  expect(versionsInOrder(answers)).toEqual(["1.0.0", "2.0.0"]);
  expect(outcomes(orders).at(-1)).toBe("kept_old");
  expect(statesOf(conductor)).toContain("draining");
  expect((await conductor.plugin("bot")).state).toBe("ready");
  await endsClean(conductor);
}, 60_000);

test("two instances of Python are swapped as one", async () => {
  const base = { runtime: "exec", yaml: "instances: 2\n" } as const;
  const { conductor, loop, orders } = await underLoad(base);
  await answeredMore(loop);
  await orders.written({ ...base, version: "1.1.0" });
  await answeredMore(loop);
  const answers = await loop.stop();
  const verdict = judged(answers, await talliesOf(conductor, 2));
  expect(complaint(verdict)).toBeNull();
  expect([...verdict.byVersion.keys()]).toEqual(["1.0.0", "1.1.0"]);
  expect((await conductor.plugin("bot")).pids).toHaveLength(2);
  await endsClean(conductor);
}, 60_000);

test("the conductor is told to end in the middle of a swap: what was asked before is answered, and nothing is left", async () => {
  const { conductor, loop } = await underLoad();
  await answeredMore(loop);
  writeCounted(join(conductor.folder, "plugins/bot"), { version: "1.1.0", fails: "hangs" });
  await until("the new version starts", 10_000, () =>
    conductor.logged("plugin.log").some(({ line }) => line === "hangs"),
  );
  expect((await conductor.plugin("bot")).pids).toHaveLength(2);
  const answers = await loop.stop();
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  await endsClean(conductor);
}, 60_000);
