/** New versions whose manifest says something else: name, platform, instances, requirements, limits, health. */

import { afterEach, expect, test } from "bun:test";
import { bunPlugin, eventually } from "./harness.ts";
import { type Bot, startBot } from "./versioned-bot.ts";

let open: Bot | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const echo = "export default definePlugin({ handleRequest: (request) => request.payload });";

test("another name is another plugin: the old one is ended, the new one starts", async () => {
  const it = await startBot();
  open = it;
  it.write("1.1.0", { name: "robot" });
  await it.manager.rescan();
  expect(it.manager.list().map(({ name, state }) => [name, state])).toEqual([["robot", "ready"]]);
  expect(it.manager.serving("bot")).toBeNull();
  expect(it.processes()).toHaveLength(1);
});

test("another platform is served from the moment the new version takes over, and the old one no more", async () => {
  const it = await startBot({ yaml: "platform: old\n" });
  open = it;
  it.write("1.1.0", { yaml: "platform: new\n", code: "initialize: () => Bun.sleep(300)," });
  const reloading = it.manager.reload("bot");
  await eventually(() => it.manager.view("bot")?.pids.length === 2);
  expect(it.manager.platforms()).toEqual(["old"]);
  expect(await reloading).toMatchObject({ ok: true });
  expect(it.manager.platforms()).toEqual(["new"]);
  expect(it.manager.serving("old")).toBeNull();
  expect(it.manager.serving("new")?.name).toBe("bot");
});

test.each([
  [1, 2],
  [3, 1],
])("%d instances become %d", async (from, to) => {
  const it = await startBot({ yaml: `instances: ${from}\n` });
  open = it;
  it.write("1.1.0", { yaml: `instances: ${to}\n` });
  expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
  expect(it.manager.view("bot")?.instances).toEqual({ running: to, wanted: to, shortfall: null });
  expect(it.processes()).toHaveLength(to);
});

test("a number of instances that was set by hand stays where the manifest's did not change", async () => {
  const it = await startBot();
  open = it;
  await it.manager.scale("bot", 2);
  it.write("1.1.0");
  expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
  expect(it.manager.view("bot")?.instances).toMatchObject({ running: 2, wanted: 2 });
});

test("what it newly requires is started first, and where that does not run the old version goes on", async () => {
  const others = {
    base: bunPlugin("base", echo, "start: lazy\n"),
    broken: bunPlugin("broken", "throw 1;", "start: lazy\n"),
  };
  const it = await startBot({ others });
  open = it;
  it.write("1.1.0", { yaml: "requires: [base]\n" });
  expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
  expect(it.manager.view("base")?.state).toBe("ready");
  expect(it.manager.view("bot")).toMatchObject({ version: "1.1.0", requires: ["base"] });
  // From now on it goes down with it.
  await it.manager.stop("base");
  expect(it.manager.view("bot")?.state).toBe("blocked");
  await it.manager.start("base");
  await eventually(() => it.manager.view("bot")?.state === "ready");

  it.write("1.2.0", { yaml: "requires: [broken]\n" });
  const refused = await it.manager.reload("bot");
  expect(refused).toMatchObject({ ok: false, code: "not-replaced" });
  expect(refused.ok ? "" : refused.message).toContain("requires broken, which is not ready");
  expect(await it.version()).toBe("1.1.0");

  it.write("1.3.0", { yaml: "requires: [nowhere]\n" });
  expect(await it.manager.reload("bot")).toMatchObject({ ok: false, code: "invalid" });
  expect(await it.version()).toBe("1.1.0");
  expect(it.manager.view("bot")?.requires).toEqual(["base"]);
});

test("limits are the new version's from the moment it takes over", async () => {
  const it = await startBot({ yaml: "limits: { concurrency: 1, queue: 0 }\n" });
  open = it;
  it.write("1.1.0", { yaml: "limits: { concurrency: 3, queue: 0, requestTimeout: 400ms }\n" });
  expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
  const answers = await Promise.all([1, 2, 3, 4].map(() => it.ask("sleep", 150)));
  expect(answers.filter(({ ok }) => ok)).toHaveLength(3);
  expect(answers.find(({ ok }) => !ok)).toMatchObject({ kind: "overload" });
  expect(await it.ask("sleep", 3_000)).toMatchObject({ ok: false, kind: "timeout" });
});

test("a health check on a port is for one version at a time, so the new one comes in place", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("fine") });
  try {
    const it = await startBot();
    open = it;
    it.write("1.1.0", { yaml: `health: { kind: http, port: ${server.port} }\n` });
    const reloaded = await it.manager.reload("bot");
    expect(reloaded).toMatchObject({ ok: true, notes: [expect.stringContaining("one version at a time")] });
    expect(it.swaps()).toEqual(["stopped_first"]);
    expect(await it.version()).toBe("1.1.0");
  } finally {
    await server.stop(true);
  }
});
