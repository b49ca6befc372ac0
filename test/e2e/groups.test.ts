/** Real plugins that require each other, under real memory pressure: shed together, and back in the other order. */

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canMakeCgroups, MemoryCgroup } from "./memory-cgroup.ts";
import { RunningConductor, root, until } from "./running-conductor.ts";

const MiB = 2 ** 20;
const hog = join(root, "test/fixtures/hog.py");

/** mode, base MiB, rate MiB/s, most MiB. */
const schedules: Record<string, string[]> = {
  core: ["steady", "30", "0", "30"],
  voice: ["leak", "30", "40", "300"],
  discord: ["steady", "60", "0", "60"],
  stubs: ["steady", "40", "0", "40"],
};
const requires: Record<string, string> = { discord: "voice", stubs: "core" };

const manifest = (name: string, switchPath: string) => `name: ${name}
version: 1.0.0
runtime: exec
protocol: none
command: ${JSON.stringify(["python3", hog, ...(schedules[name] ?? []), switchPath])}
start: eager
health: { kind: none }
requires: [${requires[name] ?? ""}]
`;

interface Decision {
  id: number;
  rule: string;
  reason: string;
  actions: { kind: string; plugin: string; expectedBytes: number | null; actualBytes?: number | null }[];
  alternatives: { kind: string; plugin: string; because: string }[];
  outcome: string;
}

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe.skipIf(!canMakeCgroups())("a plugin that leaks and that another requires", () => {
  test("is shed after that one, in one decision, and comes back before it; what the last requires stays", async () => {
    const folder = mkdtempSync(join(tmpdir(), "conductor-groups-"));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const pressure = join(folder, "on");
    const cgroup = new MemoryCgroup("conductor-groups", 512 * MiB);
    cleanups.push(() => cgroup.remove());
    const conductor = await RunningConductor.start({
      config: "monitor: { interval: 500ms }\nscaler: { dwell: 2s }\nplugins: { grace: 1s }\n",
      files: Object.fromEntries(
        Object.keys(schedules).map((name) => [`plugins/${name}/plugin.yaml`, manifest(name, pressure)]),
      ),
      wrap: (command) => cgroup.wrap(command),
    });
    cleanups.push(async () => {
      await conductor.terminate();
      conductor.remove();
    });
    const plugins = async () =>
      (
        await conductor.get<{ plugins: { name: string; state: string; pids: number[]; restarts: number }[] }>(
          "/api/v1/plugins",
        )
      ).plugins;
    const decisions = async () =>
      (
        await conductor.get<{ decisions: Decision[] }>("/api/v1/scaling/decisions?limit=500")
      ).decisions.toReversed();
    const pidsOf = async (...names: string[]) =>
      (await plugins()).filter(({ name }) => names.includes(name)).map(({ pids }) => pids[0]);
    await until("all run", 30_000, async () => (await plugins()).every(({ state }) => state === "ready"));
    const keptPids = await pidsOf("core", "stubs");

    writeFileSync(pressure, "");
    await until("a group was shed", 60_000, async () => {
      const [first] = await decisions();
      return first?.outcome === "done" || null;
    });
    rmSync(pressure);
    const [first] = await decisions();
    expect(first?.actions.map(({ kind, plugin }) => `${kind} ${plugin}`)).toEqual([
      "shed discord",
      "shed voice",
    ]);
    expect(first?.reason).toMatch(
      /: voice, with discord that requires it, which hold \d+ MiB together, is the first/,
    );
    expect(first?.alternatives).toContainEqual({
      kind: "shed",
      plugin: "core",
      because: "is required by stubs, which is never shed",
    });
    expect(first?.actions.every(({ actualBytes }) => (actualBytes ?? 0) > 20 * MiB)).toBe(true);

    await until("everything is restored", 90_000, async () =>
      (await plugins()).every(({ state }) => state === "ready"),
    );
    const restored = (await decisions()).filter(({ rule }) => rule === "restore");
    expect(restored.flatMap(({ actions }) => actions.map(({ plugin }) => plugin))).toEqual([
      "voice",
      "discord",
    ]);
    expect(await pidsOf("core", "stubs")).toEqual(keptPids);
    // Nobody ended otherwise, as by the kernel.
    expect((await plugins()).map(({ restarts }) => restarts)).toEqual([0, 0, 0, 0]);
  }, 200_000);
});
