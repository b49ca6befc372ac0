/** Language models on the compiled conductor: real llama.cpp under real pressure, and an end that leaves nothing. */

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { nodeLlamaCpp } from "../models/node-llama-cpp.ts";
import { canMakeCgroups } from "./memory-cgroup.ts";
import { type Message, MiB, ModelledConductor } from "./modelled-conductor.ts";
import { executable, until } from "./running-conductor.ts";

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
  test("the answer under way ends, the next comes from a smaller one, and no plugin is shed; after calm the large one is back", async () => {
    const host = await started("models-step");
    await host.alone("large");
    const held = (await host.model("large")).footprintBytes ?? 0;
    expect(held).toBeGreaterThan(150 * MiB);
    const talk: Message[] = [{ role: "user", content: "Tell me of the sea." }];
    const first = await host.chat(talk, 100);
    expect(first.model).toBe("large");
    await first.begun;
    await host.press(0.86);
    const { text, finishReason, note } = await first.whole;
    expect([finishReason, note]).toEqual(["length", null]);

    await host.alone("small");
    expect((await host.model("small")).footprintBytes).toBeLessThan(held / 2);
    const next = [
      ...talk,
      { role: "assistant", content: text },
      { role: "user", content: "And then?" },
    ] as const;
    const second = await host.chat(next, 8);
    expect(second.model).toBe("small");
    expect((await second.whole).finishReason).toBe("length");
    expect(await host.conductor.states()).toMatchObject({ holding: "ready", last: "ready" });

    await host.hold(0);
    await host.alone("large", 150_000);
    expect(host.changes()).toEqual(["null>large", "large>small", "small>large"]);
    expect(host.cgroup.ownKills()).toBe(0);
    const decisions = await host.decisions();
    expect(decisions.flatMap(({ actions }) => actions).filter(({ kind }) => kind === "shed")).toEqual([]);
    expect(decisions.map(({ rule }) => rule)).toContain("models-first");
    const ladder = decisions.filter(({ policy }) => policy === "ladder");
    expect(ladder.map(({ rule, actions }) => [rule, actions[0]?.kind, actions[0]?.plugin])).toEqual([
      ["fits", "load", "large"],
      ["threshold", "switch", "small"],
      ["calm", "switch", "large"],
    ]);
  });

  test("an emergency cuts the answer, which is told, and takes no plugin", async () => {
    const host = await started("models-cut");
    await host.alone("large");
    const chat = await host.chat([{ role: "user", content: "Tell me of the sea." }], 900);
    await chat.begun;
    await host.press(0.96);
    const { text, finishReason, note } = await chat.whole;
    expect(text.length).toBeGreaterThan(0);
    expect([finishReason, note]).toEqual(["length", expect.stringContaining("memory ran out")]);
    await until("the large one is gone", 10_000, async () => (await host.model("large")).state !== "ready");
    expect(await host.conductor.states()).toMatchObject({ holding: "ready", last: "ready" });
    const rules = (await host.decisions()).map(({ policy, rule }) => `${policy}: ${rule}`);
    expect(rules).toContain("ladder: emergency");
    expect(rules).toContain("mission: models-first");
    expect(host.cgroup.ownKills()).toBe(0);
  });

  test("told to end while a model loads, conductor ends in time and leaves no process", async () => {
    const host = await started("models-term");
    await until("the large one loads", 30_000, async () => (await host.model("large")).state === "loading");
    expect(await host.conductor.terminate()).toBe(0);
    expect(host.cgroup.pids()).toEqual([]);
  });

  test("conductor killed while a model loads leaves no process", async () => {
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
    // What can be known before anything starts is refused before.
    const check = Bun.spawnSync([executable, "check"], { cwd: host.conductor.folder });
    expect([check.exitCode, check.stderr.toString()]).toEqual([
      1,
      expect.stringContaining("models: broken: it does not begin with GGUF"),
    ]);
    expect(await host.model("broken")).toMatchObject({
      state: "failed",
      unusableBecause: "it does not begin with GGUF",
    });
  });
});
