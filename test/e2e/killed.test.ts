/** SIGKILL to the conductor: nothing of what it had started is left, whichever runtime, however well hidden. */

import { describe, expect, test } from "bun:test";
import { cleanUpAfterEach } from "./clean-up.ts";
import { canMakeCgroups, MemoryCgroup } from "./memory-cgroup.ts";
import { descendantsOf, processesIn } from "./processes.ts";
import { echoFiles, rogueManifest } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, pressing, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const base = `budget: { memory: ${roomyBudget()} }\nplugins: { grace: 5s }\n`;

const files = {
  ...echoFiles("echo"),
  "plugins/forker/plugin.yaml": rogueManifest("forker", ["fork"]),
  "plugins/hider/plugin.yaml": rogueManifest("hider", ["daemon"]),
  "plugins/stubborn/plugin.yaml": rogueManifest("stubborn", ["ignore-term", "daemon", "slow-shutdown"]),
};

async function started(cgroup: MemoryCgroup | null): Promise<RunningConductor> {
  const conductor = await RunningConductor.start({
    config: `${base}${calm}`,
    files,
    ...(cgroup ? { wrap: (command: string[]) => cgroup.wrap(command) } : {}),
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  expect(new Set(Object.values(await conductor.states()))).toEqual(new Set(["ready"]));
  return conductor;
}

/** Everything of the run: what descends from the conductor, and what only names its folder, such as daemons. */
const everythingOf = (conductor: RunningConductor): number[] => [
  ...new Set([...descendantsOf(conductor.pid), ...processesIn(conductor.folder)]),
];

async function showsThatNothingIsLeft(conductor: RunningConductor, family: readonly number[]): Promise<void> {
  await until("nothing is left", 5_000, () => everythingOf(conductor).length === 0);
  const left = family.filter((pid) => processesIn(conductor.folder).includes(pid));
  expect(left).toEqual([]);
}

describe.each(canMakeCgroups() ? ["in a cgroup of its own", "as it is"] : ["as it is"])(
  "SIGKILL, %s",
  (where) => {
    const cgroupOf = () => {
      if (where === "as it is") return null;
      const cgroup = new MemoryCgroup("conductor-killed", 2 ** 30);
      defer(() => cgroup.remove());
      return cgroup;
    };

    test("leaves no plugin process of either runtime, no child and no daemon, and no cgroup", async () => {
      const cgroup = cgroupOf();
      const conductor = await started(cgroup);
      const family = everythingOf(conductor);
      // The conductor, its guard, four plugins, three children of the forker and two daemons.
      expect(family.length).toBeGreaterThanOrEqual(11);
      await conductor.kill();
      await showsThatNothingIsLeft(conductor, family);
      if (!cgroup) return;
      // The guard goes last.
      await until("its cgroups are gone", 5_000, () => cgroup.inside().length === 0);
      await until("its guard is gone", 5_000, () => cgroup.pids().length === 0);
    }, 30_000);

    test("while a plugin is being shed leaves nothing either", async () => {
      const conductor = await started(cgroupOf());
      conductor.reload(base + (await pressing(conductor, ["stubborn", "hider", "forker", "echo"])));
      await until("it is being shed", 10_000, async () => (await conductor.states()).stubborn === "draining");
      const family = everythingOf(conductor);
      await conductor.kill();
      await showsThatNothingIsLeft(conductor, family);
    }, 30_000);
  },
);
