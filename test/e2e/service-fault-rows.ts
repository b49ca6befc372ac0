/** The faults of a plugin that is more than one process: copies, streams, requirements, starts. */

import { expect } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FaultRow } from "./fault-rows.ts";
import { FaultyPlugin, faultyFiles, type Runtime } from "./faulty-plugin.ts";
import { executable, until } from "./running-conductor.ts";

const quickly = (restarts: number) =>
  `recovery: { backoff: { initial: 100ms, max: 200ms }, maxRestarts: ${restarts} per 1m }\n`;
const lazy = `start: lazy\n${quickly(2)}`;

/** One of two processes crashes: what the other works on is answered, and so is whatever comes meanwhile. */
async function oneOfTwoCrashes(it: FaultyPlugin): Promise<string> {
  await it.answers();
  const both = await until("two processes run", 5_000, async () => {
    const view = await it.view();
    return view.instances.running === 2 ? view : null;
  });
  const worked = it.ask("late", 600);
  // The other one is idle, so it gets this.
  await until("one is at work", 2_000, async () => (await it.view()).inFlight === 1);
  expect((await it.ask("exit", 7)).code).toBe("plugin_crashed");
  let meanwhile = 0;
  for (; (await it.view()).instances.running < 2; meanwhile++) await it.answers();
  expect((await worked).status).toBe(200);
  const after = await it.view();
  expect([after.state, after.restarts, after.lastExit?.text]).toEqual(["ready", 1, "exited with code 7"]);
  expect(after.pids.filter((pid) => both.pids.includes(pid))).toHaveLength(1);
  expect(await it.failures()).toEqual({ crash: 1 });
  return `stayed ready, "${after.lastExit?.text}"; ${meanwhile} answered by the other until there were two again`;
}

/** One of two processes stands still: once a health check has shown it, the other gets all requests until it is exchanged. */
async function oneOfTwoStops(it: FaultyPlugin): Promise<string> {
  await it.answers();
  const { pids } = await until("two processes run", 5_000, async () => {
    const view = await it.view();
    return view.instances.running === 2 ? view : null;
  });
  const [stopped = 0] = pids;
  process.kill(stopped, "SIGSTOP");
  const { reason } = await it.reaches("degraded", /no answer to health_check within/);
  let answered = 0;
  const exchanged = async () => {
    const { instances, restarts, pids: now } = await it.view();
    return instances.running === 2 && restarts === 1 && !now.includes(stopped);
  };
  for (const endMs = performance.now() + 15_000; !(await exchanged()); answered++) {
    if (performance.now() > endMs) throw new Error("it was not exchanged within 15 s");
    await it.answers();
  }
  expect((await it.failures()).timeout).toBeUndefined();
  await it.reaches("ready", /./);
  const health = (await it.conductor.platforms()).find(({ platform }) => platform === it.name);
  expect(["healthy", "degraded"]).toContain(health?.status ?? "none");
  return `degraded: ${reason}; ${answered} answered by the other until it was exchanged`;
}

/** The lines of a streamed answer. */
async function streamed(it: FaultyPlugin): Promise<Record<string, unknown>[]> {
  const body = { platform: it.name, type: "stream", payload: 0 };
  const response = await it.conductor.post("/api/v1/requests", body);
  expect(response.status).toBe(200);
  const text = (await response.text()).trim();
  return text.split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The client is told that it did not get all of it, and three in a row open the breaker. */
async function streamsBreakOff(it: FaultyPlugin): Promise<string> {
  await it.answers();
  for (let restarts = 1; restarts <= 3; restarts++) {
    const [head, ...rest] = await streamed(it);
    expect(head).toMatchObject({ platform: it.name, degraded: false });
    expect(rest).toEqual([
      { chunk: 1 },
      { chunk: 2 },
      { error: expect.objectContaining({ status: 503, code: "plugin_crashed" }) },
    ]);
    await until("it was restarted", 8_000, async () => {
      const view = await it.view();
      return view.state === "ready" && view.restarts === restarts;
    });
  }
  const { status, code, detail } = await it.ask("message");
  expect([status, code]).toEqual([503, "breaker_open"]);
  expect(detail).toContain("3 failures in a row, the last: crash");
  expect(await it.failures()).toEqual({ crash: 3 });
  return `two chunks and an error line, three times, then 503: ${detail}`;
}

const leafOf = (base: string) => `${base}-leaf`;

/** What is required crash-loops: who requires it is blocked, says why, and comes back with it. */
async function requirementCrashLoops(it: FaultyPlugin): Promise<string> {
  const leaf = new FaultyPlugin(it.conductor, leafOf(it.name));
  await leaf.answers();
  const broken = join(it.conductor.folder, `broken-${it.name}`);
  writeFileSync(broken, "");
  expect((await it.ask("exit", 7)).code).toBe("plugin_crashed");
  const { reason } = await it.reaches("crash-loop", /no configuration/);
  const blocked = await leaf.reaches(
    "blocked",
    new RegExp(`requires ${it.name}, which is (failed|crash-loop)`),
  );
  const asked = await leaf.ask("message");
  expect([asked.status, asked.code]).toEqual([503, "plugin_blocked"]);
  expect(asked.detail).toContain(`${leaf.name} is blocked: requires ${it.name}`);
  expect(await leaf.failures()).toEqual({});
  rmSync(broken);
  expect(await it.order("restart")).toBe(200);
  const back = await leaf.reaches("ready", /runs again/);
  await leaf.answers();
  return `crash-loop: ${reason}; the other blocked: ${blocked.reason}; back: ${back.reason}`;
}

/** It cannot start until its file is mended. */
async function startsWhenMended(it: FaultyPlugin): Promise<string> {
  expect((await it.ask("message")).status).toBe(503);
  const { reason } = await it.reaches("crash-loop", /no such token/);
  expect(await it.order("restart")).toBe(502);
  await it.reaches("crash-loop", /no such token/);
  writeFileSync(
    join(it.folder, "index.ts"),
    'import { faulty } from "./faulty.ts";\nexport default faulty([]);\n',
  );
  const config = join(it.conductor.folder, "conductor.yaml");
  const restart = Bun.spawn([executable, "plugins", "restart", it.name, "--config", config], {
    env: {
      STATE_DIRECTORY: join(it.conductor.folder, "state"),
      CONDUCTOR_HTTP_PORT: it.conductor.port,
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = `${await restart.stdout.text()}${await restart.stderr.text()}`.trim();
  expect([await restart.exited, said]).toEqual([0, expect.stringContaining(it.name)]);
  await it.reaches("ready");
  await it.answers();
  return `crash-loop: ${reason}; mended, and by \`plugins restart\` ready`;
}

/** Its first start hangs: whoever asked waits for the start timeout, and hears of it. */
async function startHangs(it: FaultyPlugin): Promise<string> {
  const asked = await Promise.all([it.ask("message"), it.ask("message")]);
  for (const { status, code, detail, tookMs } of asked) {
    expect([status, code]).toEqual([503, "plugin_unavailable"]);
    expect(detail).toContain("no answer to initialize within 4000 ms");
    expect(tookMs).toBeGreaterThan(3_900);
    expect(tookMs).toBeLessThan(8_000);
  }
  expect((await it.ask("message")).tookMs).toBeLessThan(1_000);
  expect((await it.failures()).crash).toBeGreaterThanOrEqual(1);
  return `503 after ${Math.round(asked[0]?.tookMs ?? Number.NaN)} ms: ${asked[0]?.detail}`;
}

interface ServiceFault {
  fault: string;
  runtimes: readonly Runtime[];
  modes?: readonly string[];
  more?: string;
  files?: (name: string, runtime: Runtime) => Record<string, string>;
  also?: (name: string) => string[];
  run(it: FaultyPlugin): Promise<string>;
}

const faults: readonly ServiceFault[] = [
  {
    fault: "twins",
    runtimes: ["bun", "exec"],
    more: `start: lazy\ninstances: 2\n${quickly(2)}`,
    run: oneOfTwoCrashes,
  },
  {
    fault: "one-stopped",
    runtimes: ["bun", "exec"],
    more: `start: lazy\ninstances: 2\n${quickly(2)}`,
    run: oneOfTwoStops,
  },
  { fault: "stream", runtimes: ["bun", "exec"], more: `start: lazy\n${quickly(5)}`, run: streamsBreakOff },
  {
    fault: "required",
    runtimes: ["bun", "exec"],
    modes: ["exit-while-broken"],
    files: (name, runtime) => faultyFiles(leafOf(name), runtime, [], `${lazy}requires: ["${name}"]\n`),
    also: (name) => [leafOf(name)],
    run: requirementCrashLoops,
  },
  {
    fault: "unmended",
    runtimes: ["bun"],
    files: (name) => ({
      [`plugins/${name}/index.ts`]:
        'export default { initialize() { throw new Error("no such token"); } };\n',
    }),
    run: startsWhenMended,
  },
  { fault: "hanging-start", runtimes: ["bun", "exec"], modes: ["hang-in-initialize"], run: startHangs },
];

export const serviceFaultRows: readonly FaultRow[] = faults.flatMap(
  ({ fault, runtimes, modes = [], more = lazy, files, also, run }) =>
    runtimes.map((runtime) => {
      const name = `${fault}-${runtime}`;
      const all = { ...faultyFiles(name, runtime, modes, more), ...files?.(name, runtime) };
      return { name, files: all, run, ...(also ? { also: also(name) } : {}) };
    }),
);
