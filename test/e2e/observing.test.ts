/** `scaler.mode: observe` under real memory pressure: everything is decided and recorded, and no process is touched. */

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach, scratchFolder } from "./clean-up.ts";
import { canMakeCgroups, MemoryCgroup } from "./memory-cgroup.ts";
import { conductor as command } from "./one-command.ts";
import { RunningConductor, root, until } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const MiB = 2 ** 20;
const order = ["voice", "android", "discord", "stubs"];
const hog = join(root, "test/fixtures/hog.py");
/** 440 MiB under pressure: over the budget of 400, and well under the cgroup's limit. */
const limitBytes = 900 * MiB;
const mostMiB: Record<string, number> = { voice: 150, android: 120, discord: 120, stubs: 50 };

const manifest = (name: string, switchPath: string) => `name: ${name}
version: 1.0.0
runtime: exec
protocol: none
command: ${JSON.stringify(["python3", hog, "burst", "20", "200", String(mostMiB[name]), switchPath])}
start: eager
health: { kind: none }
`;

const config = (mode: string) =>
  `budget: { memory: 400MiB }\nmonitor: { interval: 200ms }\nscaler: { mode: ${mode}, dwell: 1s }\nplugins: { grace: 1s }\n`;

interface Decision {
  id: number;
  rule: string;
  outcome: string;
  note?: string;
  actions: { plugin: string }[];
}

describe.skipIf(!canMakeCgroups())("observing", () => {
  test("no process is stopped under real pressure, and what would be done is told everywhere; then it acts", async () => {
    const switchPath = join(scratchFolder(defer), "on");
    const cgroup = new MemoryCgroup("conductor-observe", limitBytes);
    defer(() => cgroup.remove());
    const conductor = await RunningConductor.start({
      config: config("observe"),
      files: Object.fromEntries(
        order.map((name) => [`plugins/${name}/plugin.yaml`, manifest(name, switchPath)]),
      ),
      wrap: (line) => cgroup.wrap(line),
    });
    defer(() => conductor.remove());
    defer(() => conductor.terminate());
    const decisions = async () =>
      (await conductor.get<{ decisions: Decision[] }>("/api/v1/scaling/decisions?limit=500")).decisions;
    const pidsOf = async () => (await conductor.plugins()).map(({ name, pids }) => [name, pids]);
    const ask = async (...args: string[]) =>
      (await command([...args, "--port", conductor.port], { cwd: conductor.folder })).out;

    expect(conductor.logged("scaler.observing")).toHaveLength(1);
    expect(await conductor.get("/readyz")).toMatchObject({
      status: "ready",
      detail: expect.stringContaining("scaler.mode is observe"),
    });
    const before = await pidsOf();
    writeFileSync(switchPath, "");
    await until("an emergency is observed", 30_000, async () =>
      (await decisions()).some(({ rule }) => rule === "emergency"),
    );
    const samples = async () =>
      (await conductor.get<{ samples: unknown[] }>("/api/v1/resources/history")).samples.length;
    const already = await samples();
    // Three seconds, which is sixty readings, each of which would stop three plugins.
    await until("fifteen more samples", 20_000, async () => (await samples()) >= already + 15);
    const observed = (await decisions()).filter(({ actions }) => actions.length > 0);
    console.log(
      observed.map(({ id, rule, outcome, note }) => `${id} ${rule} ${outcome} ${note ?? ""}`).join("\n"),
    );
    expect(observed.length).toBeLessThanOrEqual(6);
    expect(observed.every(({ outcome }) => outcome === "observed")).toBe(true);
    expect(await pidsOf()).toEqual(before);
    expect(cgroup.usedBytes()).toBeGreaterThan(400 * MiB);

    expect(await ask("status")).toMatch(
      /mode +observe: NOTHING IS SHED[^\n]*\nwould +act since .*conductor why \d+/,
    );
    const [latest] = observed;
    expect(await ask("why", String(latest?.id))).toMatch(
      /observed: nothing was done[\s\S]*action +would shed voice/,
    );
    const metrics = await (await fetch(conductor.url("/metrics"))).text();
    expect(metrics).toContain("conductor_scaler_observing 1");
    expect(metrics).toMatch(/conductor_scaling_decisions_total\{rule="emergency",outcome="observed"\} 1/);
    expect(metrics).not.toMatch(/^conductor_sheds_total\{/m);

    conductor.reload(config("act"));
    await until("it acts", 20_000, async () => (await conductor.states()).voice === "shed");
    expect(conductor.logged("scaler.acting")).toHaveLength(1);
    expect(await conductor.get("/readyz")).not.toHaveProperty("detail");
    const last = (await decisions()).find(({ id }) => id === latest?.id);
    expect(last).toMatchObject({ outcome: "observed", note: expect.stringContaining("wished for") });
  }, 120_000);
});
