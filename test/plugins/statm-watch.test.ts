/** The watch over the memory of process trees, on real trees of processes and a clock turned by hand. */

import { afterEach, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { privateBytes } from "../../src/monitor/process-memory.ts";
import { processTrees } from "../../src/monitor/process-tree.ts";
import { StatmWatch } from "../../src/plugins/statm-watch.ts";
import { eventually, execPlugin, type Harness, harness, request, rogue } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const MiB = 2 ** 20;

/** A plugin that holds what it is told to, and the calls of a watch over it. */
async function watched(limitBytes: number) {
  const made = await harness({ bot: execPlugin("bot", rogue()) });
  open = made;
  await made.manager.startAll();
  const [pid = 0] = made.manager.view("bot")?.pids ?? [];
  const clock = new VirtualClock();
  const watch = new StatmWatch(clock);
  const over: { heldBytes: number; pids: readonly number[] }[] = [];
  const stop = watch.add(
    { pid, startTicks: 0 },
    limitBytes,
    (heldBytes, pids) => void over.push({ heldBytes, pids }),
  );
  const ask = async (type: string, payload: number) =>
    expect(await made.manager.dispatch("bot", request(type, payload), { timeoutMs: 5_000 })).toMatchObject({
      ok: true,
    });
  const statmBytes = () =>
    (processTrees([[pid]])[0] ?? []).reduce((sum, member) => sum + (privateBytes(member) ?? 0), 0);
  return { pid, clock, over, ask, stop, statmBytes };
}

test("whoever is over the limit is told of once, with what it held, within a quarter of a second", async () => {
  const { pid, clock, over, ask } = await watched(64 * MiB);
  await clock.advance(1_000);
  expect(over).toEqual([]);
  await ask("hold", 100);
  await clock.advance(250);
  expect(over).toHaveLength(1);
  expect(over[0]?.pids).toEqual([pid]);
  expect(over[0]?.heldBytes).toBeGreaterThan(100 * MiB);
  expect(over[0]?.heldBytes).toBeLessThan(140 * MiB);
  await clock.advance(2_000);
  expect(over).toHaveLength(1);
});

test("near the limit it looks every tenth of a second", async () => {
  const { clock, over, ask } = await watched(100 * MiB);
  await ask("hold", 85);
  await clock.advance(250);
  await ask("hold", 40);
  await clock.advance(100);
  expect(over).toHaveLength(1);
});

test("pages that a tree shares since a fork count once, and what grows from there counts", async () => {
  const { clock, over, ask, statmBytes } = await watched(120 * MiB);
  await ask("hold", 60);
  await ask("fork-held", 3);
  // By statm alone it would be far over: 60 MiB four times.
  await eventually(() => statmBytes() > 200 * MiB);
  for (let second = 0; second < 3; second++) await clock.advance(1_000);
  expect(over).toEqual([]);
  await ask("hold", 70);
  await clock.advance(250);
  expect(over).toHaveLength(1);
  expect(over[0]?.pids).toHaveLength(4);
  expect(over[0]?.heldBytes).toBeGreaterThan(130 * MiB);
  expect(over[0]?.heldBytes).toBeLessThan(190 * MiB);
});

test("what is not watched any more is not told of", async () => {
  const { clock, over, ask, stop } = await watched(32 * MiB);
  stop();
  await ask("hold", 64);
  await clock.advance(1_000);
  expect(over).toEqual([]);
});
