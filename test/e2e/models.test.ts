/** Language models on the compiled conductor: real llama.cpp under real pressure, and an end that leaves nothing. */

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { nodeLlamaCpp } from "../models/node-llama-cpp.ts";
import { canMakeCgroups } from "./memory-cgroup.ts";
import { MiB, ModelledConductor } from "./modelled-conductor.ts";
import { until } from "./running-conductor.ts";

setDefaultTimeout(180_000);
const library = nodeLlamaCpp();
if ("reason" in library) console.error(`models: real models are skipped: ${library.reason}`);
const folder = "folder" in library ? library.folder : "";

let running: ModelledConductor | null = null;
const started = async (name: string, more?: string): Promise<ModelledConductor> => {
  running = await ModelledConductor.start(name, folder, more);
  return running;
};
afterEach(async () => {
  await running?.end();
  running = null;
});

describe.skipIf(folder === "" || !canMakeCgroups())("models in a memory cgroup", () => {
  test("a smaller one takes the place of the large one before a plugin is shed, and goes when it is calm", async () => {
    const host = await started("models-step");
    await host.alone("large");
    const held = (await host.model("large")).footprintBytes ?? 0;
    expect(held).toBeGreaterThan(150 * MiB);

    await host.press(0.86);
    await host.alone("small");
    expect((await host.model("small")).footprintBytes).toBeLessThan(held / 2);
    expect(await host.conductor.states()).toMatchObject({ holding: "ready", last: "ready" });

    await host.hold(0);
    await host.alone("large");
    expect(host.changes()).toEqual(["null>large", "large>small", "small>large"]);
    expect(host.cgroup.ownKills()).toBe(0);
    const decisions = await host.decisions();
    expect(decisions.flatMap(({ actions }) => actions).filter(({ kind }) => kind === "shed")).toEqual([]);
    const ladder = decisions.filter(({ policy }) => policy === "ladder");
    expect(ladder.map(({ rule, actions }) => [rule, actions[0]?.kind, actions[0]?.plugin])).toEqual([
      ["fits", "load", "large"],
      ["threshold", "switch", "small"],
      ["calm", "switch", "large"],
    ]);
  });

  test("what was killed with conductor, or ended while it loads, leaves no process", async () => {
    const host = await started("models-end");
    await until("the large one loads", 30_000, async () => (await host.model("large")).state === "loading");
    await host.conductor.kill();
    await until("no process is left", 20_000, () => host.cgroup.pids().length === 0);
    await until("no cgroup is left", 20_000, () => host.cgroup.inside().length === 0);
  });

  test("a file that is none keeps neither the plugins nor the other models from running", async () => {
    const host = await started(
      "models-broken",
      "  - { name: broken, engine: llama, model: /etc/passwd, context: 512 }",
    );
    expect(await host.conductor.states()).toMatchObject({ holding: "ready", last: "ready" });
    await until("large is ready", 60_000, async () => (await host.model("large")).state === "ready");
    expect(await host.model("broken")).toMatchObject({
      state: "failed",
      unusableBecause: "it does not begin with GGUF",
    });
  });
});
