/** A version of a plugin takes over from another one: what becomes of requests, processes and states. */

import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PluginManagerOptions } from "../../src/plugins/manager-options.ts";
import { bunPlugin, eventually, type Harness, harness, processesOf, request } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const soon = { timeoutMs: 5_000 };
const manifest = (version: string, more = "") =>
  `name: bot\nversion: ${version}\nruntime: bun\nentry: index.ts\n${more}`;
const source = (version: string, more = "") => `
import { definePlugin } from "conductor/plugin";
export default definePlugin({
  handleRequest: async ({ type, payload }) => {
    if (type === "sleep") await Bun.sleep(payload as number);
    return { version: "${version}", pid: process.pid };
  },
  ${more}
});`;

async function start(more = "", options: Partial<PluginManagerOptions> = {}): Promise<Harness> {
  open = await harness(
    { bot: { "plugin.yaml": manifest("1.0.0", more), "index.ts": source("1.0.0") } },
    options,
  );
  await open.manager.startAll();
  return open;
}

function write({ root }: Harness, version: string, { yaml = "", code = "" } = {}): void {
  writeFileSync(join(root, "bot/index.ts"), source(version, code));
  writeFileSync(join(root, "bot/plugin.yaml"), manifest(version, yaml));
}

const versionOf = async ({ manager }: Harness): Promise<unknown> => {
  const answer = await manager.dispatch("bot", request(), soon);
  return answer.ok ? (answer.value as { version: string }).version : answer.message;
};

const swaps = (it: Harness) => it.of("plugin.swapped").map(({ outcome }) => outcome);

describe("a new version", () => {
  test("takes the requests once it is well, while the old one finishes what it has", async () => {
    const it = await start();
    const { manager, runId } = it;
    const long = manager.dispatch("bot", request("sleep", 400), soon);
    await eventually(() => manager.view("bot")?.inFlight === 1);
    write(it, "1.1.0");
    expect(await manager.reload("bot")).toEqual({ ok: true, notes: [] });
    // The old one's request was waited for, and it answered it.
    expect(await long).toMatchObject({ ok: true, value: { version: "1.0.0" } });
    expect(await versionOf(it)).toBe("1.1.0");
    expect(manager.view("bot")).toMatchObject({ version: "1.1.0", state: "ready", problem: null });
    expect(processesOf(runId)).toHaveLength(1);
    expect(swaps(it)).toEqual(["swapped"]);
    expect(it.of("plugin.state").map(({ to }) => to)).toEqual(["starting", "ready"]);
    expect(it.of("plugin.exit")).toMatchObject([{ expected: true, remaining: 1 }]);
  });

  test("loses no request and answers none twice, while requests keep coming", async () => {
    const it = await start("limits: { concurrency: 64 }\n");
    const { manager } = it;
    const seen = new Set<number>();
    let stop = false;
    let lost = 0;
    const asking = Array.from({ length: 8 }, async (_, worker) => {
      for (let n = 0; !stop; n++) {
        const answer = await manager.dispatch("bot", request("message"), soon);
        if (!answer.ok) {
          lost++;
          await Bun.sleep(1);
        } else seen.add(worker * 1e6 + n);
      }
    });
    for (let swap = 1; swap <= 3; swap++) {
      write(it, `1.${swap}.0`);
      expect((await manager.reload("bot")).ok).toBe(true);
    }
    stop = true;
    await Promise.all(asking);
    expect(lost).toBe(0);
    expect(seen.size).toBeGreaterThan(50);
    expect(manager.view("bot")?.output).toMatchObject({ lateAnswers: 0, unknownAnswers: 0 });
    expect(await versionOf(it)).toBe("1.3.0");
  });

  test.each([
    ["fails to load", "...(() => { throw new Error('no disk'); })(),", "does not load: no disk"],
    ["throws in initialize", 'initialize() { throw new Error("no key"); },', "no key"],
    ["is unhealthy", 'healthCheck: () => ({ status: "unhealthy", detail: "no disk" }),', "no disk"],
    ["exits at once", "initialize() { process.exit(3); },", "exited with code 3"],
  ])("that %s leaves the old one serving", async (_, code, said) => {
    const it = await start();
    write(it, "1.1.0", { code });
    const reloaded = await it.manager.reload("bot");
    expect(reloaded).toMatchObject({ ok: false, code: "not-replaced" });
    expect(reloaded.ok ? "" : reloaded.message).toContain(said);
    expect(reloaded.ok ? "" : reloaded.message).toContain("1.0.0 goes on");
    expect(await versionOf(it)).toBe("1.0.0");
    expect(it.manager.view("bot")).toMatchObject({ version: "1.0.0", state: "ready", restarts: 0 });
    expect(it.manager.view("bot")?.problem).toContain("1.1.0 did not take over: ");
    expect(it.manager.view("bot")?.problem).toContain(said);
    expect(processesOf(it.runId)).toHaveLength(1);
    expect(swaps(it)).toEqual(["kept_old"]);
  });

  test("with a broken manifest is refused with its mistake, and the old one goes on", async () => {
    const it = await start();
    write(it, "one point one");
    const reloaded = await it.manager.reload("bot");
    expect(reloaded).toMatchObject({ ok: false, code: "invalid" });
    expect(reloaded.ok ? "" : reloaded.message).toContain("expected a semantic version");
    expect(it.manager.view("bot")?.problem).toContain("expected a semantic version");
    expect(await versionOf(it)).toBe("1.0.0");
  });

  test("comes in place of the old one where memory is short for both, and requests wait for it", async () => {
    const it = await start("", { mayOverlap: () => ({ ok: false, reason: "no room for 40 MiB more" }) });
    write(it, "1.1.0");
    const reloading = it.manager.reload("bot");
    const before = it.manager.view("bot")?.pids;
    await eventually(() => it.manager.view("bot")?.state !== "ready");
    const asked = versionOf(it);
    expect(await reloading).toEqual({
      ok: true,
      notes: ["stopped first, then started: no room for 40 MiB more"],
    });
    expect(await asked).toBe("1.1.0");
    expect(it.manager.view("bot")?.pids).not.toEqual(before as number[]);
    expect(swaps(it)).toEqual(["stopped_first"]);
  });

  test("that came in place and does not run gives way to the old manifest again", async () => {
    const it = await start("swap: stop-first\n");
    write(it, "1.1.0", {
      yaml: "swap: stop-first\nstart: eager\nlimits: { memory: 100MiB }\n",
      code: "...(() => { throw new Error('no disk'); })(),",
    });
    const reloading = it.manager.reload("bot");
    const failing = await reloading;
    expect(failing).toMatchObject({ ok: false, code: "not-replaced" });
    expect(it.manager.view("bot")?.version).toBe("1.0.0");
  });

  test("does not start one that is shed, stopped or not started yet: its next start is of the new version", async () => {
    const it = await start("start: lazy\n");
    write(it, "1.1.0", { yaml: "start: lazy\n" });
    expect((await it.manager.reload("bot")).ok).toBe(true);
    expect(it.manager.view("bot")).toMatchObject({ version: "1.1.0", state: "discovered" });
    expect(await versionOf(it)).toBe("1.1.0");
    await it.manager.shed("bot", { urgent: false, reason: "memory" });
    expect(await it.manager.reload("bot")).toMatchObject({ ok: false, code: "shed" });
    expect(processesOf(it.runId)).toEqual([]);
  });

  test("gives up when the plugin is shed meanwhile, and stays shed", async () => {
    const it = await start();
    write(it, "1.1.0", { code: "initialize: () => Bun.sleep(2_000)," });
    const reloading = it.manager.reload("bot");
    await eventually(() => (it.manager.view("bot")?.pids.length ?? 0) === 2);
    expect(await it.manager.shed("bot", { urgent: true, reason: "memory" })).toMatchObject({
      report: { gone: true },
    });
    expect((await reloading).ok).toBe(false);
    expect(it.manager.view("bot")?.state).toBe("shed");
    expect(processesOf(it.runId)).toEqual([]);
    expect(await it.manager.dispatch("bot", request(), soon)).toMatchObject({ kind: "unavailable" });
    expect(it.manager.view("bot")?.state).toBe("shed");
  });

  test("takes over from one that crashed while it started", async () => {
    const it = await start("recovery: { backoff: { initial: 50ms } }\n");
    write(it, "1.1.0", { code: "initialize: () => Bun.sleep(600)," });
    const reloading = it.manager.reload("bot");
    await eventually(() => (it.manager.view("bot")?.pids.length ?? 0) === 2);
    process.kill(it.manager.view("bot")?.pids[0] ?? 0, "SIGKILL");
    expect(await reloading).toMatchObject({ ok: true });
    expect(await versionOf(it)).toBe("1.1.0");
    await eventually(() => processesOf(it.runId).length === 1);
    expect(it.manager.view("bot")).toMatchObject({ state: "ready", version: "1.1.0" });
  });
});

test("what requires a plugin is judged by its version that goes on, once another one did not take over", async () => {
  open = await harness({
    bot: { "plugin.yaml": manifest("1.0.0"), "index.ts": source("1.0.0") },
    top: bunPlugin("top", "export default definePlugin({ handleRequest: () => 1 });", "requires: [bot@^1]\n"),
  });
  await open.manager.startAll();
  write(open, "2.0.0", { code: 'initialize() { throw new Error("no key"); },' });
  await open.manager.rescan();
  expect(open.manager.view("bot")?.problem).toContain("2.0.0 did not take over: ");
  expect(open.manager.view("top")).toMatchObject({ state: "ready", problem: null });
  write(open, "2.1.0");
  await open.manager.rescan();
  expect(open.manager.view("bot")).toMatchObject({ version: "2.1.0", problem: null });
  expect(open.manager.view("top")?.problem).toContain("requires bot@^1, but bot is 2.1.0");
});

describe("a restart by hand", () => {
  test("lets requests wait instead of refusing them", async () => {
    const it = await start();
    const restarting = it.manager.restart("bot");
    await eventually(() => it.manager.view("bot")?.state !== "ready");
    const answer = it.manager.dispatch("bot", request(), soon);
    expect(await restarting).toEqual({ ok: true });
    expect(await answer).toMatchObject({ ok: true });
  });
});

describe("a rescan", () => {
  test("starts what is new, exchanges what changed, ends what is gone", async () => {
    const it = await start();
    const { manager, root } = it;
    const { mkdirSync, rmSync } = await import("node:fs");
    mkdirSync(join(root, "late"));
    for (const [file, text] of Object.entries(
      bunPlugin("late", "export default definePlugin({ handleRequest: () => 1 });"),
    ))
      writeFileSync(join(root, "late", file), text);
    write(it, "2.0.0");
    await manager.rescan();
    expect(manager.list().map(({ name, version, state }) => [name, version, state])).toEqual([
      ["bot", "2.0.0", "ready"],
      ["late", "1.0.0", "ready"],
    ]);
    expect(manager.serving("late")?.name).toBe("late");
    rmSync(join(root, "late"), { recursive: true });
    await manager.rescan();
    expect(manager.list().map(({ name }) => name)).toEqual(["bot"]);
    expect(manager.serving("late")).toBeNull();
    expect(processesOf(it.runId)).toHaveLength(1);
  });
});

describe("a plugin of the code around the manager", () => {
  test("is found once it is registered, serves, and ends when it is not any more", async () => {
    const it = await start();
    const { manager, root } = it;
    writeFileSync(join(root, "bot/other.ts"), source("9.9.9"));
    const registration = { name: "inner", version: "9.9.9", runtime: "bun", entry: "other.ts" };
    const unregister = manager.register({ manifest: registration, folder: join(root, "bot") });
    await manager.rescan();
    expect(manager.view("inner")).toMatchObject({ state: "ready", version: "9.9.9" });
    expect(await manager.dispatch("inner", request(), soon)).toMatchObject({ value: { version: "9.9.9" } });
    unregister();
    await manager.rescan();
    expect(manager.view("inner")).toBeNull();
    expect(processesOf(it.runId)).toHaveLength(1);
  });
});
