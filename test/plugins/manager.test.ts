/** The life of plugins under a manager: order, laziness, restarts, shedding, ending. */

import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  eventually,
  execPlugin,
  fixtures,
  type Harness,
  harness,
  processesOf,
  request,
  rogue,
} from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const small = (name: string, more = "", ...args: string[]) =>
  execPlugin(name, ["sh", join(fixtures, "small.sh"), ...args], more);
const soon = { timeoutMs: 5_000 };
const quickly = "recovery: { backoff: { initial: 10ms, max: 40ms }, maxRestarts: 3 per 10m }\n";

/** The states that a plugin went through. */
const statesOf = (it: Harness, name: string): string[] =>
  it
    .of("plugin.state")
    .filter(({ plugin }) => plugin === name)
    .map(({ to }) => to);

describe("starting", () => {
  test("goes in the order of requirements, and a failure of one stops only those that require it", async () => {
    open = await harness({
      a: small("a", "requires: [b]\n"),
      b: small("b", "requires: [c@^1]\n"),
      c: small("c"),
      broken: small("broken", "recovery: { restart: never }\n", "fail"),
      behind: small("behind", "requires: [broken]\n"),
      free: small("free"),
    });
    const { manager, of } = open;
    await manager.startAll();
    const ready = of("plugin.state")
      .filter(({ to }) => to === "ready")
      .map(({ plugin }) => plugin);
    expect(ready.filter((name) => name !== "free")).toEqual(["c", "b", "a"]);
    expect(ready).toContain("free");
    expect(manager.view("broken")?.state).toBe("failed");
    expect(manager.view("behind")?.state).toBe("blocked");
    expect(manager.view("behind")?.reason).toContain("requires broken, which is not ready");
  });

  test("of a cycle is refused with the chain, and the others run", async () => {
    open = await harness({
      a: small("a", "requires: [b]\n"),
      b: small("b", "requires: [a]\n"),
      c: small("c"),
    });
    await open.manager.startAll();
    expect(open.manager.view("a")).toMatchObject({ state: "invalid" });
    expect(open.manager.view("a")?.reason).toContain("a -> b -> a");
    expect(open.manager.view("c")?.state).toBe("ready");
    expect(await open.manager.start("a")).toMatchObject({ ok: false, code: "invalid" });
  });

  test("by hand twice at once starts one process", async () => {
    open = await harness({ bot: small("bot", "start: lazy\n") });
    await open.manager.startAll();
    await Promise.all([open.manager.start("bot"), open.manager.start("bot"), open.manager.enable("bot")]);
    expect(processesOf(open.runId)).toHaveLength(1);
  });

  test("waits while there is no memory for it, says so, and goes on later", async () => {
    let memory = false;
    open = await harness(
      { bot: small("bot") },
      { mayStart: () => (memory ? { ok: true } : { ok: false, reason: "memory is at 83 %" }) },
    );
    const { manager } = open;
    await manager.startAll();
    expect(manager.view("bot")).toMatchObject({
      state: "discovered",
      reason: "waits: memory is at 83 %",
      pids: [],
    });
    memory = true;
    await eventually(() => manager.view("bot")?.state === "ready");
  });
});

describe("a lazy plugin", () => {
  test("starts with the first request, what it requires before it; all that wait are answered", async () => {
    open = await harness({
      bot: small("bot", "start: lazy\nrequires: [base]\n"),
      base: small("base", "start: lazy\n"),
    });
    const { manager } = open;
    await manager.startAll();
    expect(manager.list().map(({ state }) => state)).toEqual(["discovered", "discovered"]);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => manager.dispatch("bot", request(), soon)),
    );
    expect(answers).toEqual(Array(5).fill({ ok: true, value: { ok: true } }));
    expect(manager.list().map(({ state }) => state)).toEqual(["ready", "ready"]);
    expect(processesOf(open.runId)).toHaveLength(2);
  });

  test("that may not start for want of memory refuses the request with that reason", async () => {
    open = await harness(
      { bot: small("bot", "start: lazy\n") },
      { mayStart: () => ({ ok: false, reason: "memory is at 90 %" }) },
    );
    await open.manager.startAll();
    const answer = await open.manager.dispatch("bot", request(), soon);
    expect(answer).toMatchObject({ kind: "unavailable" });
    expect(answer.ok ? "" : answer.message).toContain("memory is at 90 %");
  });
});

describe("restarts", () => {
  test("come after a crash, until there were too many", async () => {
    open = await harness({ bot: small("bot", quickly) });
    const { manager } = open;
    await manager.startAll();
    for (let crash = 0; crash < 3; crash++) {
      await manager.dispatch("bot", request("exit-1"), soon);
      await eventually(
        () => manager.view("bot")?.restarts === crash + 1 && manager.view("bot")?.state === "ready",
      );
    }
    await manager.dispatch("bot", request("exit-1"), soon);
    await eventually(() => manager.view("bot")?.state === "crash-loop");
    expect(manager.view("bot")?.reason).toContain("restarted 3 times in 10 min, now it waits for a person");
    expect(await manager.dispatch("bot", request(), soon)).toMatchObject({ kind: "unavailable" });
    expect(await manager.start("bot")).toEqual({ ok: true });
    expect(manager.view("bot")?.state).toBe("ready");
  });

  test("come after a failed start too", async () => {
    open = await harness({ bot: small("bot", `${quickly}permissions: { write: [kept] }\n`, "fail-once") });
    await open.manager.startAll();
    await eventually(() => open?.manager.view("bot")?.state === "ready");
    expect(statesOf(open, "bot")).toEqual(["starting", "failed", "starting", "ready"]);
    expect(open.manager.view("bot")?.lastExit).toMatchObject({ exitCode: 6 });
  });

  test("do not come after code 0 with on-failure, and do with code 1", async () => {
    open = await harness({
      bot: small("bot", "recovery: { restart: on-failure, backoff: { initial: 10ms } }\n"),
    });
    const { manager } = open;
    await manager.startAll();
    await manager.dispatch("bot", request("exit-1"), soon);
    await eventually(() => manager.view("bot")?.restarts === 1 && manager.view("bot")?.state === "ready");
    await manager.dispatch("bot", request("exit-0"), soon);
    await eventually(() => manager.view("bot")?.state === "stopped");
    expect(manager.view("bot")?.reason).toContain("exited with code 0");
  });

  test("ask for memory first, say what they wait for, and do not count the wait", async () => {
    let memory = true;
    open = await harness(
      { bot: small("bot", quickly) },
      { mayStart: () => (memory ? { ok: true } : { ok: false, reason: "memory is at 83 %" }) },
    );
    const { manager } = open;
    await manager.startAll();
    memory = false;
    await manager.dispatch("bot", request("exit-1"), soon);
    await eventually(() => manager.view("bot")?.reason === "waits: memory is at 83 %");
    expect(manager.view("bot")).toMatchObject({ state: "failed", pids: [] });
    memory = true;
    await eventually(() => manager.view("bot")?.state === "ready");
  });

  test("do not come for a plugin stopped while it waits for one", async () => {
    open = await harness({ bot: small("bot", "recovery: { backoff: { initial: 100ms } }\n") });
    const { manager } = open;
    await manager.startAll();
    await manager.dispatch("bot", request("exit-1"), soon);
    await eventually(() => manager.view("bot")?.state === "failed");
    await manager.shed("bot", { urgent: false, reason: "memory" });
    const shedMs = performance.now();
    // Past the moment at which it would have been started again (100 ms and a fifth).
    await eventually(() => performance.now() - shedMs > 150);
    expect(manager.view("bot")).toMatchObject({ state: "shed", restarts: 0 });
    expect(processesOf(open.runId)).toEqual([]);
  });
});

describe("shedding", () => {
  test("keeps a plugin down until it is restored or enabled", async () => {
    open = await harness({ bot: small("bot", "start: lazy\n") });
    const { manager, runId } = open;
    await manager.startAll();
    await manager.start("bot");
    expect(await manager.shed("bot", { urgent: false, reason: "memory at 81 %" })).toMatchObject({
      ok: true,
      report: { gone: true, killed: false },
    });
    expect(manager.view("bot")).toMatchObject({ state: "shed", reason: "memory at 81 %" });
    expect(await manager.start("bot")).toMatchObject({ ok: false, code: "shed" });
    expect(await manager.restart("bot")).toMatchObject({ ok: false, code: "shed" });
    expect(await manager.dispatch("bot", request(), soon)).toMatchObject({ kind: "unavailable" });
    expect(processesOf(runId)).toEqual([]);
    expect(await manager.restore("bot")).toEqual({ ok: true });
    expect(manager.view("bot")?.state).toBe("ready");
    await manager.shed("bot", { urgent: true, reason: "again" });
    expect(await manager.enable("bot")).toEqual({ ok: true });
  });

  test("a disabled plugin leaves it disabled, and only enabling starts it", async () => {
    open = await harness({ bot: small("bot") });
    const { manager } = open;
    await manager.startAll();
    await manager.disable("bot");
    expect(await manager.shed("bot", { urgent: false, reason: "x" })).toMatchObject({ code: "disabled" });
    expect(await manager.restore("bot")).toMatchObject({ code: "disabled" });
    expect(await manager.start("bot")).toMatchObject({ code: "disabled" });
    expect(await manager.enable("bot")).toEqual({ ok: true });
  });

  test("during a start ends the start", async () => {
    open = await harness({ bot: execPlugin("bot", rogue("hang-in-initialize")) });
    const { manager, runId } = open;
    const starting = manager.startAll();
    await eventually(() => manager.view("bot")?.state === "starting");
    expect(await manager.shed("bot", { urgent: true, reason: "memory" })).toMatchObject({
      report: { gone: true },
    });
    await starting;
    expect(manager.view("bot")?.state).toBe("shed");
    expect(processesOf(runId)).toEqual([]);
  });

  test("is not undone by a start or restart that comes while it is under way", async () => {
    open = await harness({ bot: execPlugin("bot", rogue("slow-shutdown")) }, { graceMs: 200 });
    const { manager } = open;
    await manager.startAll();
    const shed = manager.shed("bot", { urgent: false, reason: "x" });
    await eventually(() => manager.view("bot")?.state === "draining");
    expect(await manager.start("bot")).toMatchObject({ code: "shed" });
    expect(await manager.restart("bot")).toMatchObject({ code: "shed" });
    await shed;
    expect(manager.view("bot")?.state).toBe("shed");
  });

  test("and restoring at the same moment ends with it running", async () => {
    open = await harness({ bot: small("bot") });
    const { manager } = open;
    await manager.startAll();
    const shed = manager.shed("bot", { urgent: false, reason: "x" });
    const restored = manager.restore("bot");
    expect(await shed).toMatchObject({ report: { gone: true } });
    expect(await restored).toEqual({ ok: true });
    expect(manager.view("bot")?.state).toBe("ready");
  });
});

describe("health checks", () => {
  const check = (kind: string) => small("bot", `health: ${kind}\n`);

  test.each([
    ["that passes", '{ kind: exec, command: ["true"] }', { ok: true, value: { status: "healthy" } }],
    [
      "that fails",
      '{ kind: exec, command: ["sh", "-c", "echo no disk; exit 1"] }',
      { ok: true, value: { status: "unhealthy", detail: "no disk" } },
    ],
    [
      "that hangs",
      '{ kind: exec, command: ["sh", "-c", "sleep 300 & sleep 300"] }',
      { ok: false, kind: "timeout" },
    ],
  ])("by a command %s", async (_, kind, expected) => {
    open = await harness({ bot: check(kind) });
    await open.manager.startAll();
    expect(await open.manager.checkHealth("bot", { timeoutMs: 500 })).toMatchObject(expected as never);
    expect(processesOf(open.runId)).toHaveLength(1);
  });

  test("by HTTP and TCP tell up, down, wrong and silent apart", async () => {
    let status = 200;
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (it) =>
        it.url.endsWith("/slow") ? Bun.sleep(1_000).then(() => new Response()) : new Response("", { status }),
    });
    const closed = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const deadPort = closed.port;
    closed.stop();
    open = await harness({
      up: small("up", `health: { kind: http, port: ${server.port}, path: /healthz }\n`),
      slow: small("slow", `health: { kind: http, port: ${server.port}, path: /slow }\n`),
      down: small("down", `health: { kind: http, port: ${deadPort} }\n`),
      port: small("port", `health: { kind: tcp, port: ${server.port} }\n`),
      dead: small("dead", `health: { kind: tcp, port: ${deadPort} }\n`),
    });
    const { manager } = open;
    await manager.startAll();
    const ask = (name: string) => manager.checkHealth(name, { timeoutMs: 200 });
    expect(await ask("up")).toMatchObject({ ok: true, value: { status: "healthy" } });
    status = 503;
    expect(await ask("up")).toMatchObject({
      ok: true,
      value: { status: "unhealthy", detail: "GET /healthz answered 503" },
    });
    expect(manager.view("up")?.state).toBe("degraded");
    status = 200;
    await ask("up");
    expect(manager.view("up")?.state).toBe("ready");
    expect(await ask("slow")).toMatchObject({ ok: false, kind: "timeout" });
    expect(await ask("down")).toMatchObject({ ok: false, kind: "unavailable" });
    expect(await ask("port")).toMatchObject({ ok: true, value: { status: "healthy" } });
    expect(await ask("dead")).toMatchObject({ ok: false, kind: "unavailable" });
    await server.stop(true);
  });
});

describe("the end", () => {
  test("stops each plugin before what it requires, all within 10 s however they behave", async () => {
    open = await harness(
      {
        base: execPlugin("base", rogue("slow-shutdown", "ignore-term")),
        top: execPlugin("top", rogue("slow-shutdown", "ignore-term"), "requires: [base]\n"),
        other: execPlugin("other", rogue("ignore-term", "daemon")),
      },
      { graceMs: 30_000 },
    );
    const { manager, runId } = open;
    await manager.startAll();
    const began = performance.now();
    expect(await manager.shutdown()).toEqual({ gone: true });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(processesOf(runId)).toEqual([]);
    const stopped = open
      .of("plugin.state")
      .filter(({ to }) => to === "stopped")
      .map(({ plugin }) => plugin);
    expect(stopped.indexOf("top")).toBeLessThan(stopped.indexOf("base"));
  }, 15_000);

  test("refuses to start anything after it", async () => {
    open = await harness({ bot: small("bot", "start: lazy\n") });
    await open.manager.startAll();
    await open.manager.shutdown();
    expect(await open.manager.start("bot")).toMatchObject({ ok: false });
    expect(await open.manager.dispatch("bot", request(), soon)).toMatchObject({ ok: false });
    expect(processesOf(open.runId)).toEqual([]);
  });
});

test("an unknown plugin is refused by name", async () => {
  open = await harness({});
  expect(await open.manager.start("nobody")).toEqual({
    ok: false,
    code: "unknown-plugin",
    message: "nobody: no such plugin",
  });
  expect(await open.manager.dispatch("nobody", request(), soon)).toMatchObject({ kind: "unavailable" });
});

test("requests over the concurrency limit wait, and all are answered", async () => {
  open = await harness({ bot: execPlugin("bot", rogue(), "limits: { concurrency: 2 }\n") });
  const { manager } = open;
  await manager.startAll();
  const answers = Array.from({ length: 6 }, () => manager.dispatch("bot", request("sleep", 0.02), soon));
  await eventually(() => manager.view("bot")?.inFlight === 2);
  expect(manager.view("bot")?.queued).toBe(4);
  expect((await Promise.all(answers)).every(({ ok }) => ok)).toBe(true);
  expect(manager.view("bot")).toMatchObject({ inFlight: 0, queued: 0 });
});
