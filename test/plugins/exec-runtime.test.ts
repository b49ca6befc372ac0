/** Real exec plugins, each misbehaving in one way: the conductor stays, and says what it was. */

import { afterEach, describe, expect, test } from "bun:test";
import { isAlive, readProcess } from "../../src/plugins/proc-table.ts";
import { eventually, execPlugin, type Harness, harness, processesOf, request, rogue } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

async function start(modes: string[], more = "", options = {}): Promise<Harness> {
  open = await harness({ bot: execPlugin("bot", rogue(...modes), more) }, options);
  await open.manager.startAll();
  return open;
}

const never = "recovery: { restart: never }\n";
const soon = { timeoutMs: 5_000 };

describe("an exec plugin", () => {
  test("starts, answers a request and a health check, and stops gently", async () => {
    const { manager } = await start([]);
    expect(manager.view("bot")).toMatchObject({ state: "ready", runtime: "exec", restarts: 0 });
    expect(await manager.dispatch("bot", request("message", { text: "hällo" }), soon)).toEqual({
      ok: true,
      value: { echo: { text: "hällo" } },
    });
    expect(await manager.checkHealth("bot", soon)).toEqual({
      ok: true,
      value: { status: "healthy", detail: "fine" },
    });
    const stopped = await manager.stop("bot");
    expect(stopped).toMatchObject({
      ok: true,
      report: { gone: true, killed: false, drained: true, leftBehind: 0 },
    });
    expect(manager.view("bot")).toMatchObject({ state: "stopped", pids: [] });
  });

  test("that answers an error fails with plugin-error and its message", async () => {
    const { manager } = await start([]);
    expect(await manager.dispatch("bot", request("error"), soon)).toEqual({
      ok: false,
      kind: "plugin-error",
      message: "cannot do that",
      rpcCode: -32000,
    });
  });

  test("that knows neither initialize nor health_check is healthy while it lives", async () => {
    const { manager } = await start(["no-methods"]);
    expect(manager.view("bot")?.state).toBe("ready");
    expect(await manager.checkHealth("bot", soon)).toMatchObject({ ok: true, value: { status: "healthy" } });
  });

  test("that crashes fails its request as crashed, within 50 ms, with exit code and last words", async () => {
    const { manager, of } = await start([], never);
    const began = performance.now();
    const answer = await manager.dispatch("bot", request("crash"), soon);
    expect(answer).toMatchObject({ ok: false, kind: "crashed", message: "exited with code 7" });
    await eventually(() => manager.view("bot")?.state === "failed");
    expect(performance.now() - began).toBeLessThan(250);
    expect(manager.view("bot")?.lastError).toBe("exited with code 7; last words: about to fail");
    expect(of("plugin.exit")).toEqual([
      { plugin: "bot", exitCode: 7, signal: null, outOfMemory: false, expected: false, remaining: 0 },
    ]);
  });

  test("that dies of a signal is reported with that signal", async () => {
    const { manager } = await start([], never);
    const answer = await manager.dispatch("bot", request("segfault"), soon);
    expect(answer).toMatchObject({
      kind: "crashed",
      message: "crashed with SIGSEGV (invalid memory access)",
    });
  });

  test("that someone else kills is reported so", async () => {
    const { manager } = await start([], never);
    process.kill(manager.view("bot")?.pids[0] ?? 0, "SIGKILL");
    await eventually(() => manager.view("bot")?.state === "failed");
    expect(manager.view("bot")?.lastExit?.text).toContain("killed by someone else");
  });

  test("that exits in initialize failed to start, with its last words, and is not left running", async () => {
    const { manager, of } = await start(["exit-in-initialize"], never);
    const view = manager.view("bot");
    expect(view?.state).toBe("failed");
    expect(view?.reason).toContain("initialize failed: exited with code 3");
    expect(view?.reason).toContain("no configuration");
    expect(of("plugin.exit")).toMatchObject([{ exitCode: 3, expected: false }]);
  });

  test("that never answers initialize is ended after the start timeout", async () => {
    const { manager, runId } = await start(["hang-in-initialize"], never, { startTimeoutMs: 200 });
    expect(manager.view("bot")?.reason).toContain("no answer to initialize within 200 ms");
    expect(processesOf(runId)).toEqual([]);
  });

  test("that answers initialize with ok: false did not start", async () => {
    const { manager } = await start(["refuse"], never);
    expect(manager.view("bot")).toMatchObject({ state: "failed" });
    expect(manager.view("bot")?.reason).toContain('it answered {"ok":false}');
  });

  test("that hangs in health_check is a timeout and degraded, not dead", async () => {
    const { manager } = await start(["hang-in-health"]);
    const answer = await manager.checkHealth("bot", { timeoutMs: 100 });
    expect(answer).toMatchObject({ ok: false, kind: "timeout" });
    expect(manager.view("bot")?.state).toBe("degraded");
    expect(manager.view("bot")?.reason).toContain("no answer to health_check within 100 ms");
    expect(await manager.dispatch("bot", request("message", 1), soon)).toMatchObject({ ok: true });
  });

  test("that answers health_check with nonsense is a protocol failure that quotes it", async () => {
    const { manager } = await start(["bad-health"]);
    const answer = await manager.checkHealth("bot", soon);
    expect(answer).toMatchObject({ ok: false, kind: "protocol" });
    expect(answer.ok ? "" : answer.message).toContain('{"status":"great"}');
  });

  test("that prints garbage is ready all the same, and the garbage is counted and quoted", async () => {
    const { manager } = await start(["garbage"]);
    expect(manager.view("bot")).toMatchObject({ state: "ready", output: { garbageMessages: 3 } });
    await manager.dispatch("bot", request("garbage"), soon);
    expect(manager.view("bot")?.output).toMatchObject({ garbageMessages: 4 });
    expect(manager.view("bot")?.output.garbage).toContain("what is this");
  });

  test("that answers twice, late, or to nothing is counted and harms nobody", async () => {
    const { manager } = await start(["twice"]);
    expect(await manager.checkHealth("bot", soon)).toMatchObject({ value: { status: "healthy" } });
    await manager.dispatch("bot", request("stray"), soon);
    expect(manager.view("bot")?.output).toMatchObject({
      unknownAnswers: 2,
      lateAnswers: 0,
      garbageMessages: 3,
    });
    await manager.stop("bot");
  });

  test("that answers after the deadline is counted as late", async () => {
    const { manager } = await start(["late"]);
    expect(await manager.checkHealth("bot", { timeoutMs: 50 })).toMatchObject({ kind: "timeout" });
    await eventually(() => manager.view("bot")?.output.lateAnswers === 1);
    expect(manager.view("bot")?.output.unknownAnswers).toBe(0);
  });

  test("that does not read its stdin refuses with overload once the queue is full", async () => {
    const { manager } = await start(["not-reading"], "limits: { concurrency: 100 }\n");
    const payload = "x".repeat(900_000);
    const answers = await Promise.all(
      Array.from({ length: 12 }, () =>
        manager.dispatch("bot", request("message", payload), { timeoutMs: 300 }),
      ),
    );
    const kinds = answers.map((answer) => (answer.ok ? "ok" : answer.kind));
    expect(kinds).toContain("overload");
    expect(kinds).toContain("timeout");
    expect(kinds).not.toContain("ok");
  });

  test("with a message over 1 MiB is refused before it is sent", async () => {
    const { manager } = await start([]);
    const answer = await manager.dispatch("bot", request("message", "x".repeat(2 ** 20)), soon);
    expect(answer).toMatchObject({ ok: false, kind: "too-large" });
  });

  test("whose process is stopped (SIGSTOP) times out and can still be ended", async () => {
    const { manager } = await start([]);
    expect(await manager.dispatch("bot", request("stop-self"), { timeoutMs: 100 })).toMatchObject({
      kind: "timeout",
    });
    const stopped = await manager.shed("bot", { urgent: false, reason: "test" });
    expect(stopped).toMatchObject({ report: { gone: true, killed: false } });
  });

  test("whose program does not exist says so, and the others start", async () => {
    open = await harness({
      broken: execPlugin("broken", ["no-such-program-anywhere"], never),
      bot: execPlugin("bot", rogue()),
    });
    await open.manager.startAll();
    expect(open.manager.view("broken")?.reason).toContain("no such program on PATH");
    expect(open.manager.view("bot")?.state).toBe("ready");
  });

  test("without a protocol is only supervised, and takes no requests", async () => {
    open = await harness({ bot: execPlugin("bot", ["sleep", "300"], "protocol: none\n") });
    await open.manager.startAll();
    expect(open.manager.view("bot")?.state).toBe("ready");
    expect(await open.manager.checkHealth("bot", soon)).toMatchObject({ value: { status: "healthy" } });
    expect(await open.manager.dispatch("bot", request(), soon)).toMatchObject({ kind: "unavailable" });
    expect(await open.manager.stop("bot")).toMatchObject({ report: { gone: true, killed: false } });
  });
});

describe("ending a plugin", () => {
  test("that ignores TERM kills it after the grace and says so", async () => {
    const { manager } = await start(["ignore-term"], "", { graceMs: 200 });
    const stopped = await manager.stop("bot");
    expect(stopped).toMatchObject({ report: { gone: true, killed: true } });
    if (stopped.ok) {
      expect(stopped.report.durationMs).toBeGreaterThanOrEqual(200);
      expect(stopped.report.detail).toContain("killed after the grace period");
    }
  });

  test("that hangs in shutdown is still ended", async () => {
    const { manager } = await start(["slow-shutdown"], "", { graceMs: 200 });
    expect(await manager.stop("bot")).toMatchObject({ report: { gone: true, killed: false } });
  });

  test("urgently kills at once", async () => {
    const { manager } = await start(["ignore-term", "daemon"], "", { graceMs: 60_000 });
    const began = performance.now();
    expect(await manager.shed("bot", { urgent: true, reason: "test" })).toMatchObject({
      report: { gone: true, killed: true },
    });
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test("can be hastened on the way", async () => {
    const { manager } = await start(["slow-shutdown", "ignore-term"], "", { graceMs: 60_000 });
    const stopping = manager.shed("bot", { urgent: false, reason: "test" });
    await eventually(() => manager.view("bot")?.state === "draining");
    manager.hasten("bot");
    expect(await stopping).toMatchObject({ report: { gone: true, killed: true } });
  });

  test("waits for the requests in flight", async () => {
    const { manager } = await start([]);
    const answer = manager.dispatch("bot", request("sleep", 0.3), soon);
    await eventually(() => manager.view("bot")?.inFlight === 1);
    const stopping = manager.stop("bot");
    expect(await manager.dispatch("bot", request(), soon)).toMatchObject({ kind: "unavailable" });
    expect(await answer).toMatchObject({ ok: true });
    expect(await stopping).toMatchObject({ report: { drained: true } });
  });

  test("takes its children and grandchildren with it, those in sessions of their own too", async () => {
    const { manager, runId } = await start(["fork", "daemon"]);
    await eventually(() => processesOf(runId).length === 5);
    const root = manager.view("bot")?.pids[0] ?? 0;
    const others = processesOf(runId).filter((pid) => pid !== root);
    expect(others.some((pid) => readProcess(pid)?.sessionId !== root)).toBe(true);
    const stopped = await manager.stop("bot");
    expect(stopped).toMatchObject({ report: { gone: true, leftBehind: 1 } });
    expect(processesOf(runId)).toEqual([]);
  });

  test("that crashed leaves none of its children, and says how many there were", async () => {
    const { manager, runId } = await start(["fork", "daemon"], never);
    await eventually(() => processesOf(runId).length === 5);
    await manager.dispatch("bot", request("crash"), soon);
    await eventually(() => manager.view("bot")?.state === "failed");
    expect(manager.view("bot")?.lastError).toContain("4 processes outlived it and had to be killed");
    expect(processesOf(runId)).toEqual([]);
  });

  test("counts a process as gone by pid and start time", async () => {
    const { manager } = await start([]);
    const pid = manager.view("bot")?.pids[0] ?? 0;
    const before = readProcess(pid);
    expect(before).not.toBeNull();
    await manager.stop("bot");
    expect(isAlive({ pid, startTicks: before?.startTicks ?? 0 })).toBe(false);
    expect(isAlive({ pid: process.pid, startTicks: 1 })).toBe(false);
  });
});
