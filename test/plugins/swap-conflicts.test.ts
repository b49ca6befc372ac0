/** Orders to exchange a plugin that meet each other, a start, a stop, a shed, or the end of the conductor. */

import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, processesOf } from "./harness.ts";
import { type Bot, botFiles, foundBot, soon, startBot } from "./versioned-bot.ts";

let open: Bot | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const slowStart = { code: 'initialize() { console.log("begins"); return Bun.sleep(500); },' };
const begins = (it: Bot): Promise<void> =>
  eventually(() => it.of("plugin.log").some(({ line }) => line === "begins"));
const pidsOf = (it: Bot): number[] => it.manager.view("bot")?.pids ?? [];

describe("orders at the same moment", () => {
  test.each(["rescan first", "reload first"])(
    "the watcher's and a reload (%s) end in one new version",
    async (first) => {
      const it = await startBot();
      open = it;
      const { manager } = it;
      it.write("1.1.0");
      const orders = [() => manager.rescan(), () => manager.reload("bot")];
      if (first === "reload first") orders.reverse();
      await Promise.all(orders.map((order) => order()));
      expect(await it.version()).toBe("1.1.0");
      expect(it.processes()).toEqual(pidsOf(it));
      expect(it.states()).toEqual(["starting", "ready"]);
      // A rescan finds nothing to do after the reload; a reload is carried out whatever came before.
      expect(it.swaps()).toEqual(first === "reload first" ? ["swapped"] : ["swapped", "swapped"]);
    },
  );

  test("ten reloads are one, and one that comes while it is carried out is another one", async () => {
    const it = await startBot();
    open = it;
    it.write("1.1.0", slowStart);
    const ten = Array.from({ length: 10 }, () => it.manager.reload("bot"));
    await begins(it);
    it.write("1.2.0");
    const late = Array.from({ length: 10 }, () => it.manager.reload("bot"));
    for (const each of [...ten, ...late]) expect(await each).toEqual({ ok: true, notes: [] });
    expect(it.swaps()).toEqual(["swapped", "swapped"]);
    expect(await it.version()).toBe("1.2.0");
    expect(it.processes()).toHaveLength(1);
  });

  test("ten rollbacks are one, and do not go there and back", async () => {
    const it = await startBot();
    open = it;
    await it.keeps(1);
    it.write("1.1.0");
    await it.manager.reload("bot");
    await Promise.all(Array.from({ length: 10 }, () => it.manager.rollback("bot")));
    expect(await it.version()).toBe("1.0.0");
    expect(it.swaps()).toEqual(["swapped", "rolled_back"]);
  });
});

describe("a reload", () => {
  test("during a start waits for it, and then the new version takes over", async () => {
    const it = await foundBot(slowStart);
    open = it;
    const starting = it.manager.startAll();
    await begins(it);
    it.write("1.1.0");
    expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
    await starting;
    expect(await it.version()).toBe("1.1.0");
    expect(it.processes()).toHaveLength(1);
    expect(it.states()).toEqual(["starting", "ready"]);
  });

  test("during a start that fails brings the new version up", async () => {
    const it = await foundBot({
      code: 'async initialize() { console.log("begins"); await Bun.sleep(300); throw new Error("no"); },',
    });
    open = it;
    const starting = it.manager.startAll();
    await begins(it);
    it.write("1.1.0");
    expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
    await starting;
    expect(await it.version()).toBe("1.1.0");
    expect(it.processes()).toHaveLength(1);
  });

  test("during a stop leaves it stopped, and its next start is of the new version", async () => {
    const it = await startBot({ code: "shutdown: () => Bun.sleep(300)," });
    open = it;
    const stopping = it.manager.stop("bot");
    await eventually(() => it.manager.view("bot")?.state === "draining");
    it.write("1.1.0");
    expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
    expect(await stopping).toMatchObject({ ok: true, report: { gone: true } });
    expect(it.manager.view("bot")).toMatchObject({ state: "stopped", version: "1.1.0" });
    expect(it.processes()).toEqual([]);
    expect(await it.manager.start("bot")).toEqual({ ok: true });
    expect(await it.version()).toBe("1.1.0");
  });

  test("during a shed is refused, and it stays shed", async () => {
    const it = await startBot({ code: "shutdown: () => Bun.sleep(300)," });
    open = it;
    const shedding = it.manager.shed("bot", { urgent: false, reason: "memory" });
    await eventually(() => it.manager.view("bot")?.state === "draining");
    it.write("1.1.0");
    expect(await it.manager.reload("bot")).toMatchObject({ ok: false, code: "shed" });
    await shedding;
    await it.manager.rescan();
    expect(it.manager.view("bot")?.state).toBe("shed");
    expect(it.processes()).toEqual([]);
    expect(await it.manager.restore("bot")).toEqual({ ok: true });
    expect(await it.version()).toBe("1.1.0");
  });
});

describe("the end of the conductor", () => {
  test.each([
    ["beside", ""],
    ["in place", "swap: stop-first\n"],
  ])("during a swap %s leaves no process, and carries out nothing that waits", async (_, yaml) => {
    const it = await startBot({ yaml });
    open = it;
    it.write("1.1.0", { yaml, code: "initialize: () => Bun.sleep(3_000)," });
    const [old] = pidsOf(it);
    const reloading = it.manager.reload("bot");
    await eventually(() => pidsOf(it).some((pid) => pid !== old));
    const waiting = it.manager.reload("bot");
    expect(await it.manager.shutdown()).toEqual({ gone: true });
    expect(await reloading).toMatchObject({ ok: false });
    await waiting;
    expect(it.processes()).toEqual([]);
    expect(it.manager.view("bot")?.state).toBe("stopped");
    expect(
      await it.manager.dispatch("bot", { id: "r", platform: "bot", type: "message", payload: null }, soon),
    ).toMatchObject({
      ok: false,
    });
    expect(it.processes()).toEqual([]);
  });
});

describe("the folder of a plugin that runs", () => {
  test("is deleted: the plugin is ended, a reload says so, and made again it starts", async () => {
    const it = await startBot();
    open = it;
    const folder = join(it.root, "bot");
    rmSync(folder, { recursive: true });
    const reloaded = await it.manager.reload("bot");
    expect(reloaded).toEqual({
      ok: false,
      code: "invalid",
      message: "the folder of bot is gone, so it was ended",
    });
    expect(it.manager.view("bot")).toBeNull();
    expect(processesOf(it.runId)).toEqual([]);
    mkdirSync(folder);
    it.write("1.1.0");
    await it.manager.rescan();
    expect(await it.version()).toBe("1.1.0");
  });

  test("is exchanged for another one under its name: that is a new version, and nothing else", async () => {
    const it = await startBot();
    open = it;
    mkdirSync(join(it.root, ".next"));
    for (const [file, text] of Object.entries(botFiles("1.1.0")))
      writeFileSync(join(it.root, ".next", file), text);
    renameSync(join(it.root, "bot"), join(it.root, ".old"));
    renameSync(join(it.root, ".next"), join(it.root, "bot"));
    await it.manager.rescan();
    expect(await it.version()).toBe("1.1.0");
    expect(it.states()).toEqual(["starting", "ready"]);
    expect(it.swaps()).toEqual(["swapped"]);
  });
});
