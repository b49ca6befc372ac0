/** What is under way when a new version takes over: long requests, answers in parts, health checks, dependents. */

import { afterEach, describe, expect, test } from "bun:test";
import type { Json } from "../../src/sdk/plugin.ts";
import { bunPlugin, eventually, request } from "./harness.ts";
import { type Bot, startBot } from "./versioned-bot.ts";

let open: Bot | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const echo = "export default definePlugin({ handleRequest: (request) => request.payload });";

async function openStream({ manager }: Bot, everyMs: number) {
  const options = { timeoutMs: 5_000, stream: { idleMs: 2_000, refuse: () => null } };
  const answer = await manager.dispatch("bot", request("stream", everyMs), options);
  if (!answer.ok || !answer.stream) throw new Error("no stream");
  const { stream } = answer;
  const chunks: Json[] = [];
  const read = (async () => {
    for await (const chunk of stream) chunks.push(chunk);
  })().catch(() => undefined);
  return { chunks, done: stream.done.finally(() => read) };
}

describe("under way over a swap", () => {
  test("a long request and a stream are finished by the old version, while the new one serves", async () => {
    const it = await startBot();
    open = it;
    const long = it.ask("sleep", 600);
    const { chunks, done } = await openStream(it, 60);
    await eventually(() => chunks.length > 0);
    it.write("1.1.0");
    const reloading = it.manager.reload("bot");
    await eventually(async () => (await it.version()) === "1.1.0");
    // The old one's work is not done yet.
    expect(it.processes()).toHaveLength(2);
    expect(await reloading).toEqual({ ok: true, notes: [] });
    expect(await long).toMatchObject({ ok: true, value: { version: "1.0.0" } });
    expect(await done).toBeNull();
    expect(chunks).toEqual(Array.from({ length: 10 }, (_, n) => `1.0.0 ${n}`));
    expect(it.processes()).toHaveLength(1);
  });

  test("what outlasts the grace fails, and is told so", async () => {
    const it = await startBot({ options: { graceMs: 300 } });
    open = it;
    const long = it.ask("sleep", 4_000);
    const { chunks, done } = await openStream(it, 1_000);
    await eventually(() => it.manager.view("bot")?.inFlight === 2);
    it.write("1.1.0");
    expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
    const message = "it was stopped before it had answered, after 300 ms to finish";
    expect(await long).toMatchObject({ ok: false, kind: "stopped", message });
    expect(await done).toMatchObject({ ok: false, kind: "stopped", message });
    expect(chunks.length).toBeLessThan(10);
    expect(await it.version()).toBe("1.1.0");
    expect(it.processes()).toHaveLength(1);
  });

  test("a health check of the old version says nothing about the new one", async () => {
    const it = await startBot({
      code: 'healthCheck: async () => { await Bun.sleep(10_000); return { status: "healthy" }; },',
      options: { graceMs: 200 },
    });
    open = it;
    const checking = it.manager.checkHealth("bot", { timeoutMs: 8_000 });
    it.write("1.1.0");
    expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
    expect(await checking).toMatchObject({ ok: true, value: { status: "healthy" } });
    expect(it.states()).toEqual(["starting", "ready"]);
  });

  test("a new version that is degraded takes over, and is called so by the next check", async () => {
    const it = await startBot();
    open = it;
    it.write("1.1.0", { code: 'healthCheck: () => ({ status: "degraded", detail: "slow disk" }),' });
    expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
    await it.manager.checkHealth("bot", { timeoutMs: 2_000 });
    expect(it.manager.view("bot")).toMatchObject({
      version: "1.1.0",
      state: "degraded",
      reason: "slow disk",
    });
  });
});

describe("plugins that require the one that is swapped", () => {
  const others = { user: bunPlugin("user", echo, "requires: [bot]\n") };
  const statesOfUser = (it: Bot): string[] =>
    it.of("plugin.state").flatMap(({ plugin, to }) => (plugin === "user" ? [to] : []));

  test.each(["", "swap: stop-first\n"])("go on, whatever becomes of the swap (%s)", async (yaml) => {
    const it = await startBot({ others, yaml });
    open = it;
    await it.keeps(1);
    const before = it.manager.view("user")?.pids;
    it.write("1.1.0", { yaml });
    expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
    await it.keeps(2);
    it.write("1.2.0", { yaml, code: 'initialize() { throw new Error("no"); },' });
    expect(await it.manager.reload("bot")).toMatchObject({ ok: false });
    expect(await it.version()).toBe("1.1.0");
    expect(it.manager.view("user")?.pids).toEqual(before as number[]);
    expect(statesOfUser(it)).toEqual(["starting", "ready"]);
  });

  test("are ended when nothing of it is left after a swap in place", async () => {
    const yaml = "swap: stop-first\nrecovery: { restart: never }\n";
    const it = await startBot({ others, yaml, options: { keptFolder: () => null } });
    open = it;
    it.write("1.1.0", { yaml, code: 'initialize() { throw new Error("no"); },' });
    expect(await it.manager.reload("bot")).toMatchObject({ ok: false, code: "not-replaced" });
    expect(it.manager.view("bot")?.state).toBe("failed");
    await eventually(() => it.manager.view("user")?.state === "blocked");
    expect(it.processes()).toEqual([]);
  });

  test("and are blocked by something else stay so", async () => {
    const blocked = {
      user: bunPlugin("user", echo, "requires: [bot, other]\n"),
      other: bunPlugin("other", echo),
    };
    const it = await startBot({ others: blocked });
    open = it;
    await it.manager.stop("other");
    await eventually(() => it.manager.view("user")?.state === "blocked");
    const { reason } = it.manager.view("user") ?? {};
    const before = statesOfUser(it);
    it.write("1.1.0");
    expect(await it.manager.reload("bot")).toMatchObject({ ok: true });
    expect(it.manager.view("user")).toMatchObject({ state: "blocked", reason: String(reason) });
    expect(statesOfUser(it)).toEqual(before);
  });
});
