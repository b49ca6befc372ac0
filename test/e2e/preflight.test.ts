/** Memory that is promised, on a conductor that runs: to operations that ask at once, and to plugins over a restart. */

import { expect, test } from "bun:test";
import { cleanUpAfterEach } from "./clean-up.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, quick } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const MiB = 2 ** 20;
/** The budget is the whole host: only a share of it is promised, and what others use meanwhile makes no difference. */
const base = `${quick}${calm}`;
const path = "/api/v1/scaling/preflight";

interface Status {
  measured: { usedBytes: number; budgetBytes: number };
  reservations: { kind: string; name: string; bytes: number }[];
  plugins: { name: string; state: string; peakBytes: number | null; hintBytes?: number }[];
}

test("of two preflights that come at the same moment, only one gets the last room", async () => {
  const conductor = await RunningConductor.start({
    config: `${base}plugins: { config: { android: { port: 0 } } }\n`,
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  const { measured } = await conductor.get<Status>("/api/v1/scaling/status");
  // One has plenty of room, two have none, whatever else this host does meanwhile.
  const bytes = Math.floor(0.65 * (0.8 * measured.budgetBytes - measured.usedBytes));
  for (let round = 1; round <= 5; round++) {
    const names = ["first", "second"].map((name) => `${name} ${round}`);
    const answers = await Promise.all(names.map((name) => conductor.post(path, { bytes, name })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 503]);
    const won = answers.findIndex(({ status }) => status === 200);
    const lost = (await answers[1 - won]?.json()) as Record<string, unknown>;
    expect(lost).toMatchObject({
      decision: "wait",
      blocked_by: "memory",
      blockedBy: expect.arrayContaining([{ kind: "lease", name: names[won], bytes }]),
    });
    const winner = (await answers[won]?.json()) as Record<string, unknown>;
    expect((await conductor.get<Status>("/api/v1/scaling/status")).reservations).toMatchObject([
      { kind: "lease", name: names[won], bytes },
    ]);
    await until("the metric shows it", 5_000, async () =>
      (await (await fetch(conductor.url("/metrics"))).text()).includes(
        `conductor_memory_reserved_bytes{kind="lease"} ${bytes}\n`,
      ),
    );
    const given = await fetch(conductor.url(`${path}/${winner.leaseId}`), { method: "DELETE" });
    expect(given.status).toBe(200);
  }
}, 60_000);

test("what a plugin's start reserves: its manifest's word until it was measured, then its peak, over a kill too", async () => {
  const files = {
    "plugins/worker/plugin.yaml": "name: worker\nversion: 1.0.0\nstart: lazy\nfootprint: 48MiB\n",
    "plugins/worker/index.ts":
      'import { definePlugin } from "conductor/plugin";\nexport default definePlugin({ handleRequest: () => "done" });\n',
  };
  const config = `${base}plugins: { dirs: [plugins], config: { android: { port: 0 } } }\n`;
  const first = await RunningConductor.start({ config, files });
  defer(() => first.remove());
  defer(() => first.kill());
  const worker = async (conductor: RunningConductor) => {
    const { plugins } = await conductor.get<Status>("/api/v1/scaling/status");
    return plugins.find(({ name }) => name === "worker");
  };
  expect(await worker(first)).toMatchObject({ state: "absent", peakBytes: null, hintBytes: 48 * MiB });
  expect((await first.request("worker", "go")).status).toBe(200);
  const peakBytes = await until("its peak is known", 10_000, async () => (await worker(first))?.peakBytes);
  expect(peakBytes).toBeGreaterThan(MiB);
  // Ten more samples lie in the database.
  await until("it was sampled", 10_000, async () => {
    const { samples } = await first.get<{ samples: unknown[] }>("/api/v1/resources/history?limit=20");
    return samples.length >= 20;
  });
  await first.kill();
  const second = await RunningConductor.start({ folder: first.folder });
  defer(() => second.kill());
  const after = await worker(second);
  expect(after).toMatchObject({ state: "absent" });
  expect(after?.peakBytes).toBeGreaterThanOrEqual(peakBytes);
}, 60_000);
