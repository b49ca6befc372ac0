/** The faults of single processes: what the plugin is, what it is made to do, and what conductor has to make of it. */

import { expect } from "bun:test";
import { type FaultyPlugin, faultyFiles, type Runtime } from "./faulty-plugin.ts";
import { until } from "./running-conductor.ts";

export interface FaultRow {
  /** Of the plugin, and of the row. */
  name: string;
  files: Record<string, string>;
  /** Plugins that take part beside it. */
  also?: string[];
  /** Does it, and checks what is particular to it; yields what conductor said. */
  run(it: FaultyPlugin): Promise<string>;
}

const recovery = "recovery: { backoff: { initial: 100ms, max: 200ms }, maxRestarts: 2 per 1m }\n";
const requestTimeoutMs = 500;
const limits = (more = "") =>
  `limits: { requestTimeout: ${more ? "15s" : `${requestTimeoutMs}ms`}, concurrency: 4, queue: 4${more} }\n`;
const both: readonly Runtime[] = ["bun", "exec"];

interface Fault {
  fault: string;
  runtimes?: readonly Runtime[];
  /** Of the manifest; default: restarts soon, and no limit to hanging. */
  recovery?: string;
  modes?: readonly string[];
  /** Further limits, as in a manifest. */
  limits?: string;
  run(it: FaultyPlugin, runtime: Runtime): Promise<string>;
}

/** No answer in time: 504 within the request's own timeout and some slack. */
async function timesOut(it: FaultyPlugin, type: string, payload: unknown = 0): Promise<void> {
  const { status, code, tookMs } = await it.ask(type, payload);
  expect([status, code]).toEqual([504, "plugin_timeout"]);
  expect(tookMs).toBeGreaterThanOrEqual(requestTimeoutMs - 50);
  expect(tookMs).toBeLessThan(requestTimeoutMs + 1_500);
}

/** It answers nothing any more: it is degraded, and requests are refused at once by its open breaker. */
async function isHung(it: FaultyPlugin): Promise<string> {
  const { reason } = await it.reaches("degraded", /no answer to the health check within 3\d\d ms/);
  const refused = await until("its breaker is open", 5_000, async () => {
    const answer = await it.ask("message");
    return answer.code === "breaker_open" ? answer : null;
  });
  expect(refused.status).toBe(503);
  expect(refused.tookMs).toBeLessThan(requestTimeoutMs);
  return `504 plugin_timeout, then 503 breaker_open; degraded: ${reason}`;
}

/** An order brings it back, whatever it is doing. */
async function comesBackByOrder(it: FaultyPlugin): Promise<void> {
  expect(await it.order("restart")).toBe(200);
  expect((await it.reaches("ready")).restarts).toBe(0);
}

const counted = async (it: FaultyPlugin) => (await it.view()).output;

const faults: readonly Fault[] = [
  {
    fault: "segfault",
    run: (it) => it.crashesAndComesBack("segfault", 0, /crashed with SIG(SEGV|TRAP|ILL|ABRT) /),
  },
  { fault: "exit", run: (it) => it.crashesAndComesBack("exit", 7, /exited with code 7/) },
  {
    fault: "spin",
    async run(it) {
      await it.answers();
      await timesOut(it, "spin");
      const said = await isHung(it);
      expect((await it.failures()).timeout).toBeGreaterThanOrEqual(1);
      await comesBackByOrder(it);
      return `${said}; back by restart`;
    },
  },
  {
    fault: "spin-hung",
    recovery: recovery.replace("{ backoff", "{ hung: 600ms, backoff"),
    async run(it) {
      await it.answers();
      await timesOut(it, "spin");
      const { lastExit } = await until("it was given up and started again", 10_000, async () => {
        const view = await it.view();
        return view.restarts === 1 && view.state === "ready" ? view : null;
      });
      expect(lastExit?.text).toMatch(
        /killed by conductor: it answered no health check for .* \(recovery\.hung\)/,
      );
      // What the health checks saw of the hung one opened the breaker, and closed it with the start.
      await it.answers();
      expect(await it.failures()).toMatchObject({ crash: 1, timeout: 1 });
      return `504 plugin_timeout, then "${lastExit?.text}", restarted once`;
    },
  },
  {
    fault: "memory-bomb",
    limits: ", memory: 96MiB",
    run: (it) => it.crashesAndComesBack("eat", 400, /memory.*limit.*96\.0 MiB/, "out_of_memory"),
  },
  {
    fault: "fork-bomb",
    limits: ", processes: 40",
    async run(it) {
      const { status, detail, body } = await it.ask("fork-bomb", 400);
      expect([status, detail]).toEqual([200, ""]);
      const { started, refused } = body.result as { started: number; refused: boolean };
      expect(refused).toBe(true);
      expect(started).toBeLessThan(40);
      // While it starts them it may answer no health check.
      await it.reaches("ready");
      await it.answers();
      const { health_timeout: _, ...failures } = await it.failures();
      expect([(await it.view()).state, failures]).toEqual(["ready", {}]);
      return `${started} processes, then refused; answers`;
    },
  },
  {
    fault: "long-line",
    limits: ", memory: 256MiB",
    async run(it, runtime) {
      await it.answers();
      const { status, detail } = await it.ask("long-line", 200);
      expect([status, detail]).toEqual([200, ""]);
      const { droppedBytes, garbageMessages } = await until("all of it was read", 5_000, async () => {
        const output = await counted(it);
        return output.droppedBytes > 200e6 ? output : null;
      });
      // A bun plugin's stdout is its log.
      expect(garbageMessages).toBe(runtime === "exec" ? 1 : 0);
      // While it writes it may answer no health check.
      await it.reaches("ready");
      const { health_timeout: _, ...failures } = await it.failures();
      expect(failures).toEqual({});
      return `200; ${Math.round(droppedBytes / 1e6)} MB dropped`;
    },
  },
  {
    fault: "long-frame",
    runtimes: ["bun"],
    limits: ", memory: 256MiB",
    async run(it) {
      await it.answers();
      const { status, detail } = await it.ask("long-frame", 200);
      expect([status, detail]).toEqual([200, ""]);
      const { droppedBytes, garbageMessages, garbage } = await counted(it);
      expect([garbageMessages, droppedBytes >= 200e6]).toEqual([1, true]);
      await it.reaches("ready");
      return `200; ${Math.round(droppedBytes / 1e6)} MB dropped: ${garbage}`;
    },
  },
  {
    fault: "slow",
    async run(it) {
      await it.answers();
      await timesOut(it, "slow");
      // Whatever it says now ends up in the middle of what it never finishes.
      const said = await isHung(it);
      await comesBackByOrder(it);
      return `${said}; back by restart`;
    },
  },
  {
    fault: "close-output",
    limits: ", memory: 256MiB",
    run: (it) =>
      it.crashesAndComesBack("close-output", 0, /killed by conductor: it closed (its stdout|the socket)/),
  },
  {
    fault: "ignore-term",
    modes: ["ignore-term"],
    async run(it) {
      await it.answers();
      const beganMs = performance.now();
      expect(await it.order("disable")).toBe(200);
      expect(performance.now() - beganMs).toBeLessThan(5_000);
      const { state, lastExit } = await it.view();
      expect([state, lastExit?.text]).toEqual([
        "disabled",
        expect.stringContaining("did not end when asked, and was killed after the grace period"),
      ]);
      expect([(await it.ask("message")).code, await it.failures()]).toEqual(["plugin_disabled", {}]);
      return `disabled in ${Math.round(performance.now() - beganMs)} ms, "${lastExit?.text}"`;
    },
  },
  {
    fault: "exit-in-initialize",
    modes: ["exit-in-initialize"],
    async run(it) {
      expect((await it.ask("message")).status).toBe(503);
      const { reason, restarts } = await it.reaches("crash-loop");
      expect(reason).toMatch(
        /initialize failed: exited with code 3.*no configuration.*restarted 2 times in 60 s/,
      );
      const { status, code, detail } = await it.ask("message");
      expect([status, code, restarts]).toEqual([503, "plugin_failed", 2]);
      expect(detail).toContain("no configuration");
      expect(await it.failures()).toEqual({ crash: 3 });
      return `crash-loop: ${reason}`;
    },
  },
  {
    fault: "twice",
    runtimes: ["exec"],
    async run(it) {
      expect((await it.ask("twice", 5)).body.result).toEqual({ echo: 5 });
      await it.answers();
      expect(await counted(it)).toMatchObject({ unknownAnswers: 1, lateAnswers: 0, garbageMessages: 0 });
      return "200, one unknown answer counted";
    },
  },
  {
    fault: "unknown",
    async run(it) {
      expect((await it.ask("unknown", 6)).body.result).toEqual({ echo: 6 });
      expect(await counted(it)).toMatchObject({ unknownAnswers: 1, lateAnswers: 0, garbageMessages: 0 });
      expect([(await it.view()).state, await it.failures()]).toEqual(["ready", {}]);
      return "200, one unknown answer counted";
    },
  },
  {
    fault: "late",
    async run(it) {
      await timesOut(it, "late", requestTimeoutMs + 300);
      await until("the late answer came", 5_000, async () => (await counted(it)).lateAnswers === 1);
      await it.answers();
      expect(await counted(it)).toMatchObject({ lateAnswers: 1, unknownAnswers: 0 });
      expect(await it.failures()).toEqual({ timeout: 1 });
      return "504 plugin_timeout, one late answer counted, then 200";
    },
  },
  {
    fault: "stopped",
    async run(it) {
      await it.answers();
      const [pid = 0] = (await it.view()).pids;
      process.kill(pid, "SIGSTOP");
      // Four are sent to it, four wait for half of their time, and the rest is too many.
      const asked = await Promise.all(Array.from({ length: 12 }, () => it.ask("message")));
      const codes = Map.groupBy(asked, ({ code }) => code);
      expect(codes.get("plugin_overloaded")?.map(({ status }) => status)).toEqual(Array(8).fill(429));
      expect(codes.get("plugin_timeout")).toHaveLength(4);
      for (const { tookMs } of asked) expect(tookMs).toBeLessThan(requestTimeoutMs + 1_500);
      const said = await isHung(it);
      process.kill(pid, "SIGCONT");
      await it.reaches("ready", /healthy again/);
      const { lateAnswers, unknownAnswers } = await counted(it);
      expect(lateAnswers).toBeGreaterThanOrEqual(4);
      expect([unknownAnswers, (await it.view()).pids]).toEqual([0, [pid]]);
      return `8 of 12 429 plugin_overloaded, 4 ${said}; continued: ready, ${lateAnswers} late answers`;
    },
  },
];

export const faultRows: readonly FaultRow[] = faults.flatMap(
  ({ fault, runtimes = both, modes = [], limits: further = "", recovery: how = recovery, run }) =>
    runtimes.map((runtime) => {
      const name = `${fault}-${runtime}`;
      const files = faultyFiles(name, runtime, modes, `start: lazy\n${limits(further)}${how}`);
      return { name, files, run: (it: FaultyPlugin) => run(it, runtime) };
    }),
);
