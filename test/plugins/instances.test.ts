/** Several processes of one plugin. */

import { afterEach, expect, test } from "bun:test";
import {
  bunPlugin,
  eventually,
  execPlugin,
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

const soon = { timeoutMs: 5_000 };
const code = `export default definePlugin({
  handleRequest: async ({ type, payload }) => {
    if (type === "exit") process.exit(3);
    if (type === "sleep") await Bun.sleep(payload as number);
    return process.pid;
  },
});`;

async function start(more: string): Promise<Harness> {
  open = await harness({ bot: bunPlugin("bot", code, more) });
  await open.manager.startAll();
  return open;
}

const running = ({ manager }: Harness) => manager.view("bot")?.instances.running;

const pidOf = async ({ manager }: Harness, type = "message", payload = 0): Promise<unknown> => {
  const answer = await manager.dispatch("bot", request(type, payload), soon);
  return answer.ok ? answer.value : answer.message;
};

test("each is a process of its own, and requests go to the least busy", async () => {
  const it = await start("instances: 3\nlimits: { concurrency: 1 }\n");
  expect(running(it)).toBe(3);
  expect(processesOf(it.runId)).toHaveLength(3);
  const pids = await Promise.all([1, 2, 3].map(() => pidOf(it, "sleep", 100)));
  expect(new Set(pids).size).toBe(3);
  expect(it.manager.footprintTargets().map(({ plugin }) => plugin)).toEqual(["bot", "bot", "bot"]);
});

test("one that crashes is started again while the others answer and the plugin stays ready", async () => {
  const it = await start("instances: 2\nrecovery: { backoff: { initial: 100ms } }\n");
  await it.manager.dispatch("bot", request("exit"), soon);
  await eventually(() => running(it) === 1);
  expect(it.manager.view("bot")).toMatchObject({ state: "ready", restarts: 0 });
  expect(it.manager.view("bot")?.instances.shortfall).toContain("1 of 2 processes run: exited with code 3");
  expect(typeof (await pidOf(it))).toBe("number");
  await eventually(() => running(it) === 2);
  expect(it.manager.view("bot")).toMatchObject({
    state: "ready",
    restarts: 1,
    instances: { running: 2, wanted: 2, shortfall: null },
  });
  expect(it.of("plugin.exit")).toMatchObject([{ expected: false, remaining: 1 }]);
});

test("their number changes while they serve: fewer drain, more start, and no request is lost", async () => {
  const it = await start("instances: 1\n");
  const long = pidOf(it, "sleep", 300);
  expect(await it.manager.scale("bot", 4)).toEqual({ ok: true, notes: [] });
  expect(running(it)).toBe(4);
  const busy = Promise.all([1, 2, 3, 4, 5, 6].map(() => pidOf(it, "sleep", 150)));
  expect(await it.manager.scale("bot", 1)).toEqual({ ok: true, notes: [] });
  expect((await busy).every((pid) => typeof pid === "number")).toBe(true);
  expect(typeof (await long)).toBe("number");
  expect(running(it)).toBe(1);
  expect(processesOf(it.runId)).toHaveLength(1);
  expect(it.of("plugin.state").map(({ to }) => to)).toEqual(["starting", "ready"]);
});

test("all of them end when it is shed, and all come back", async () => {
  const it = await start("instances: 2\n");
  await it.manager.shed("bot", { urgent: true, reason: "memory" });
  expect(processesOf(it.runId)).toEqual([]);
  expect(await it.manager.restore("bot")).toEqual({ ok: true });
  expect(running(it)).toBe(2);
});

test("a new version replaces all of them", async () => {
  const it = await start("instances: 2\n");
  const before = it.manager.view("bot")?.pids ?? [];
  expect((await it.manager.reload("bot")).ok).toBe(true);
  const after = it.manager.view("bot")?.pids ?? [];
  expect(after).toHaveLength(2);
  expect(after.some((pid) => before.includes(pid))).toBe(false);
});

test("health is that of the worst, and degraded names it", async () => {
  open = await harness({
    bot: bunPlugin(
      "bot",
      `let sick = false;
       export default definePlugin({
         healthCheck: () => (sick ? { status: "unhealthy", detail: "sick" } : { status: "healthy" }),
         handleRequest: () => { sick = true; return process.pid; },
       });`,
      "instances: 2\n",
    ),
  });
  await open.manager.startAll();
  expect(await open.manager.checkHealth("bot", soon)).toMatchObject({ value: { status: "healthy" } });
  await open.manager.dispatch("bot", request(), soon);
  expect(await open.manager.checkHealth("bot", soon)).toMatchObject({ value: { status: "unhealthy" } });
  expect(open.manager.view("bot")).toMatchObject({ state: "degraded", reason: "sick" });
});

test("what they write that nobody asked for is counted together", async () => {
  open = await harness({ bot: execPlugin("bot", rogue("garbage"), "instances: 2\n") });
  await open.manager.startAll();
  await eventually(() => open?.manager.view("bot")?.output.garbageMessages === 6);
});

const sickening = `let sick = false;
  export default definePlugin({
    healthCheck: () => (sick ? new Promise(() => {}) : { status: "healthy" }),
    handleRequest: ({ type }) => { if (type === "sicken") sick = true; return process.pid; },
  });`;
const quickly = { timeoutMs: 400 };

test("one that fails its checks makes the plugin degraded, is exchanged, and the others serve meanwhile", async () => {
  const more = "instances: 2\nrecovery: { backoff: { initial: 100ms } }\n";
  open = await harness({ bot: bunPlugin("bot", sickening, more) });
  await open.manager.startAll();
  const sick = await pidOf(open, "sicken");
  const before = open.manager.view("bot")?.pids ?? [];
  for (let i = 0; i < 2; i++)
    expect(await open.manager.checkHealth("bot", quickly)).toMatchObject({
      value: { status: "degraded", detail: expect.stringContaining("1 of 2 processes: ") },
    });
  expect(open.manager.view("bot")?.pids).toEqual(before);
  expect(await open.manager.checkHealth("bot", quickly)).toMatchObject({ value: { status: "healthy" } });
  const { instances, state } = open.manager.view("bot") ?? {};
  expect([state, instances?.shortfall]).toEqual([
    "ready",
    expect.stringContaining("1 of 2 processes run: failed 3 health checks: "),
  ]);
  for (let i = 0; i < 4; i++) expect(await pidOf(open)).not.toBe(sick);
  const it = open;
  await eventually(() => running(it) === 2);
  expect(open.manager.view("bot")?.pids).not.toContain(sick);
  expect(open.manager.view("bot")).toMatchObject({ restarts: 1, instances: { shortfall: null } });
  await eventually(() => processesOf(it.runId).length === 2);
});

test("where all fail their checks none is exchanged: that is the plugin's failure", async () => {
  open = await harness({ bot: bunPlugin("bot", sickening, "instances: 2\nlimits: { concurrency: 1 }\n") });
  await open.manager.startAll();
  const before = open.manager.view("bot")?.pids;
  const it = open;
  await Promise.all([pidOf(it, "sicken"), pidOf(it, "sicken")]);
  for (let i = 0; i < 4; i++)
    expect(await open.manager.checkHealth("bot", { timeoutMs: 100 })).toMatchObject({ kind: "timeout" });
  expect(open.manager.view("bot")).toMatchObject({ state: "degraded", pids: before });
});
