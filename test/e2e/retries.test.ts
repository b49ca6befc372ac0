/** Retries, bulkheads and breakers with real processes: what a client gets when a process crashes, is full, or keeps failing. */

import { expect, test } from "bun:test";
import { cleanUpAfterEach } from "./clean-up.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, quick, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const base = `budget: { memory: ${roomyBudget()} }\n${quick}`;

/** "arm": the process that gets it ends with the next request that it gets. */
const plugin = (more: string): Record<string, string> => ({
  "plugins/bot/plugin.yaml": `name: bot\nversion: 1.0.0\nruntime: bun\nentry: index.ts\n${more}`,
  "plugins/bot/index.ts": `import { definePlugin } from "conductor/plugin";
let armed = false;
export default definePlugin({
  handleRequest: async ({ type, payload }) => {
    if (armed) process.exit(3);
    if (type === "arm") armed = true;
    if (type === "sleep") await Bun.sleep(payload);
    if (type === "fail") throw new Error("it failed");
    return process.pid;
  },
});
`,
});

async function start(more: string, config = ""): Promise<RunningConductor> {
  const conductor = await RunningConductor.start({ config: base + calm + config, files: plugin(more) });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  return conductor;
}

const ask = async (conductor: RunningConductor, type: string, more: Record<string, unknown> = {}) => {
  const response = await conductor.post("/api/v1/requests", { platform: "bot", type, payload: 0, ...more });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

const metricsOf = async (conductor: RunningConductor) => (await fetch(conductor.url("/metrics"))).text();

test("a request with a key survives the crash of the process that had it; one without is told of it", async () => {
  const conductor = await start("instances: 2\nrecovery: { backoff: { initial: 100ms } }\n");
  await ask(conductor, "arm");
  const survived = await ask(conductor, "message", { idempotencyKey: "once" });
  expect(survived).toMatchObject({
    status: 200,
    body: { degraded: false, attempts: [{ outcome: "crash" }, { outcome: "answered" }] },
  });
  await until("both processes run again", 10_000, async () => {
    const { plugins } = await conductor.get<{ plugins: { pids: number[] }[] }>("/api/v1/plugins");
    return plugins[0]?.pids.length === 2;
  });
  await ask(conductor, "arm");
  expect((await ask(conductor, "message")).body).toMatchObject({ code: "plugin_crashed" });
  const metrics = await metricsOf(conductor);
  expect(metrics).toContain('conductor_retries_total{platform="bot",outcome="answered"} 1');
  await until("the health loop has shown what it costs", 10_000, async () =>
    /^conductor_health_tick_seconds_count [1-9]/m.test(await metricsOf(conductor)),
  );
  expect(metrics).toMatch(/^conductor_concurrency_limit\{platform="bot"\} \d+$/m);
}, 30_000);

test("over its concurrency and its queue a plugin answers 429, blocked by concurrency, and its breaker stays closed", async () => {
  const conductor = await start(
    "limits: { concurrency: 8, queue: 1 }\n",
    "routing: { concurrency: { kind: fixed, limit: 2 } }\n",
  );
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => ask(conductor, "sleep", { payload: 300 })),
  );
  const refused = answers.filter(({ status }) => status !== 200);
  expect(answers.length - refused.length).toBe(3);
  expect(refused).toHaveLength(5);
  for (const { status, body } of refused)
    expect([status, body.code, body.blocked_by]).toEqual([429, "plugin_overloaded", "concurrency"]);
  expect(await conductor.get("/api/v1/breakers/bot")).toMatchObject({ state: "closed", moves: [] });
}, 30_000);

test("error answers open the breaker by their own threshold, and what it found is there after a restart", async () => {
  const config = "breaker: { failures: 2, thresholds: { error: 4 }, reset: 20s }\n";
  const first = await start("start: eager\n", config);
  for (let i = 0; i < 4; i++) expect((await ask(first, "fail")).status).toBe(502);
  expect((await ask(first, "fail")).body).toMatchObject({ code: "breaker_open" });
  await first.terminate();
  const second = await RunningConductor.start({ folder: first.folder });
  defer(() => second.kill());
  expect(await second.get("/api/v1/breakers/bot")).toMatchObject({
    state: "open",
    openings: 1,
    reason: "4 failures in a row, the last: plugin-error",
    moves: [{ from: "closed", to: "open", movedBy: "requests" }],
  });
  expect((await ask(second, "message")).body).toMatchObject({ code: "breaker_open" });
}, 30_000);
