/**
 * One plugin at a time does something a program does when it is broken, under the real executable: conductor stays
 * healthy and small, the others do not notice, and what became of it is said by name.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { faultRows } from "./fault-rows.ts";
import { FaultyPlugin, faultyFiles } from "./faulty-plugin.ts";
import { onlook } from "./onlookers.ts";
import { descendantsOf, processesIn, pssBytes } from "./processes.ts";
import { RunningConductor } from "./running-conductor.ts";
import { serviceFaultRows } from "./service-fault-rows.ts";
import { roomyBudget } from "./thresholds.ts";

const MiB = 2 ** 20;
/** Conductor's own memory, and how much of it may have come since the start. */
const mostBytes = 80 * MiB;
const mostGrowthBytes = 30 * MiB;
/** The others' p99 while a plugin fails: noise of a shared machine, and no more than that. */
const noise = (beforeMs: number): number => 5 * beforeMs + 150;
const onlookers = ["steady", "steady-py"];
const least = 100;

const rows = [...faultRows, ...serviceFaultRows];

const config = `
budget: { memory: ${roomyBudget()} }
forecast: { horizon: 1s }
health: { interval: 200ms, timeout: 300ms, failures: 3 }
breaker: { failures: 3, reset: 1m }
plugins: { dirs: [plugins], bundled: false, grace: 500ms, startTimeout: 4s }
`;

let conductor: RunningConductor;
let startBytes = 0;

beforeAll(async () => {
  const files = {
    ...faultyFiles("steady", "bun", [], "start: eager\n"),
    ...faultyFiles("steady-py", "exec", [], "start: eager\n"),
  };
  for (const row of rows) Object.assign(files, row.files);
  conductor = await RunningConductor.start({ config, files });
  // Once through all that they use, so that the code is there before memory and times are compared.
  await onlook(conductor, onlookers, least);
  startBytes = pssBytes(conductor.pid);
}, 40_000);

afterAll(async () => {
  const family = descendantsOf(conductor.pid);
  const code = await conductor.terminate();
  const left = [...processesIn(conductor.folder), ...family.filter((pid) => descendantsOf(pid).length > 0)];
  conductor.remove();
  expect([code, left]).toEqual([0, []]);
}, 20_000);

test.each(rows.map((row) => [row.name, row] as const))(
  "%s",
  async (name, { run, also = [] }) => {
    const before = await onlook(conductor, onlookers, least);
    const faulty = new FaultyPlugin(conductor, name);
    const running = run(faulty);
    const during = await onlook(conductor, onlookers, least, running);
    const said = await running;

    for (const each of [name, ...also])
      expect(await new FaultyPlugin(conductor, each).order("disable")).toBe(200);
    expect(processesIn(faulty.folder)).toEqual([]);
    const nowBytes = pssBytes(conductor.pid);
    console.log(
      `${name}: ${said}; others' p99 ${before.p99Ms.toFixed(1)} ms before, ${during.p99Ms.toFixed(1)} ms during (${during.asked} asked); /healthz ${during.healthzSlowestMs.toFixed(0)} ms at most; conductor ${(during.largestBytes / MiB).toFixed(0)} MiB at most, ${(nowBytes / MiB).toFixed(0)} after`,
    );
    expect([before.wrong, during.wrong]).toEqual([0, 0]);
    expect(during.p99Ms).toBeLessThan(noise(before.p99Ms));
    expect(during.healthzSlowestMs).toBeLessThan(1_000);
    expect(during.largestBytes).toBeLessThan(mostBytes);
    expect(nowBytes - startBytes).toBeLessThan(mostGrowthBytes);
  },
  30_000,
);
