/** Real plugins under real memory pressure in a memory cgroup: with conductor, and without. */

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMakeCgroups, MemoryCgroup } from "./memory-cgroup.ts";
import { RunningConductor, root, until } from "./running-conductor.ts";

const MiB = 2 ** 20;
const limitBytes = 512 * MiB;
const order = ["voice", "android", "discord", "stubs"];
const hog = join(root, "test/fixtures/hog.py");

/** mode, base MiB, rate MiB/s, most MiB: together 780 MiB, half again more than the limit. */
const schedules: Record<string, string[]> = {
  voice: ["leak", "20", "12", "200"],
  android: ["burst", "20", "60", "220"],
  discord: ["saw", "20", "30", "200"],
  stubs: ["steady", "60", "0", "60"],
};

const manifest = (name: string, command: string[]) => `name: ${name}
version: 1.0.0
runtime: exec
protocol: none
command: ${JSON.stringify(command)}
start: eager
health: { kind: none }
`;

interface Action {
  kind: string;
  plugin: string;
  actualBytes?: number | null;
  expectedBytes: number | null;
  startedAt: string;
  durationMs: number;
}
interface Decision {
  id: number;
  rule: string;
  actions: Action[];
}

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function pressureSwitch(): { path: string; on: () => void; off: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "conductor-pressure-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "on");
  return { path, on: () => writeFileSync(path, ""), off: () => rmSync(path, { force: true }) };
}

const commandOf = (name: string, switchPath: string) => [
  "python3",
  hog,
  ...(schedules[name] ?? []),
  switchPath,
];

describe.skipIf(!canMakeCgroups())("four growing plugins in a memory cgroup that can not hold them", () => {
  test("without conductor the kernel kills", async () => {
    const pressure = pressureSwitch();
    const cgroup = new MemoryCgroup("conductor-bare", limitBytes);
    const children = order.map((name) =>
      Bun.spawn(cgroup.wrap(commandOf(name, pressure.path)), { stdout: "ignore", stderr: "ignore" }),
    );
    cleanups.push(async () => {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.exited));
      await cgroup.remove();
    });
    pressure.on();
    const kills = await until("the kernel killed", 60_000, () => cgroup.oomKills() || null);
    expect(kills).toBeGreaterThan(0);
  }, 90_000);

  test("with conductor it kills nothing: sheds in order, one at a time, and everything comes back", async () => {
    const pressure = pressureSwitch();
    const cgroup = new MemoryCgroup("conductor-e2e", limitBytes);
    cleanups.push(() => cgroup.remove());
    const conductor = await RunningConductor.start({
      config: "monitor: { interval: 500ms }\nscaler: { dwell: 2s }\nplugins: { grace: 1s }\n",
      files: Object.fromEntries(
        order.map((name) => [`plugins/${name}/plugin.yaml`, manifest(name, commandOf(name, pressure.path))]),
      ),
      wrap: (command) => cgroup.wrap(command),
    });
    cleanups.push(async () => {
      await conductor.terminate();
      conductor.remove();
    });
    const decisions = async () =>
      (await conductor.get<{ decisions: Decision[] }>("/api/v1/scaling/decisions?limit=500")).decisions;
    const sheds = async () =>
      (await decisions())
        .toReversed()
        .flatMap(({ actions }) => actions)
        .filter(({ kind }) => kind === "shed");
    const states = async () =>
      (await conductor.get<{ plugins: { name: string; state: string }[] }>("/api/v1/plugins")).plugins;
    const stubsPid = await pidOf(conductor, "stubs");

    pressure.on();
    await until(
      "two plugins were shed",
      60_000,
      async () => new Set((await sheds()).map(({ plugin }) => plugin)).size >= 2,
    );
    pressure.off();
    await until("everything is restored", 90_000, async () =>
      (await states()).every(({ state }) => state === "ready"),
    );

    expect(cgroup.oomKills()).toBe(0);
    const done = await sheds();
    console.log(
      done
        .map(
          ({ plugin, expectedBytes, actualBytes, durationMs }) =>
            `${plugin}: expected ${mib(expectedBytes)}, got ${mib(actualBytes)} MiB back in ${Math.round(durationMs)} ms`,
        )
        .join("\n"),
    );
    expect(done.every(({ actualBytes }) => actualBytes !== null)).toBe(true);
    expect(done.map(({ plugin }) => plugin)).not.toContain("stubs");
    expect(done[0]?.plugin).toBe("voice");
    for (let i = 1; i < done.length; i++) {
      const [before, next] = [done[i - 1], done[i]];
      if (before && next)
        expect(Date.parse(next.startedAt)).toBeGreaterThanOrEqual(
          Date.parse(before.startedAt) + Math.floor(before.durationMs) - 1,
        );
    }
    expect(await pidOf(conductor, "stubs")).toBe(stubsPid);
  }, 200_000);
});

const mib = (bytes: number | null | undefined): string =>
  bytes === null || bytes === undefined ? "?" : (bytes / MiB).toFixed(0);

async function pidOf(conductor: RunningConductor, name: string): Promise<number> {
  const { plugins } = await conductor.get<{ plugins: { name: string; pids: number[] }[] }>("/api/v1/plugins");
  return plugins.find((plugin) => plugin.name === name)?.pids[0] ?? 0;
}
