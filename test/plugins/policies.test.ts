/** The pure parts: when to restart, whom to let in, whom the kernel kills first, what ended a process. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { childEnvironment } from "../../src/plugins/child-environment.ts";
import { type ExitFacts, exitCause } from "../../src/plugins/exit-cause.ts";
import { mayMove } from "../../src/plugins/lifecycle.ts";
import { oomScoreAdj } from "../../src/plugins/oom-score.ts";
import { parseStat } from "../../src/plugins/proc-table.ts";
import { RequestGate } from "../../src/plugins/request-gate.ts";
import { RestartBackoff } from "../../src/plugins/restart-backoff.ts";
import { selfCommand } from "../../src/plugins/self-command.ts";

const policy = {
  backoff: { initial: 1_000, max: 10_000 },
  maxRestarts: { count: 5, windowMs: 600_000 },
  stable: 60_000,
};

describe("restarts", () => {
  test("wait twice as long each time up to the most, and end in a crash loop", () => {
    const backoff = new RestartBackoff(policy, () => 0.5);
    const waits = Array.from({ length: 6 }, (_, n) => backoff.next(n * 1_000, 0));
    expect(waits.map((wait) => (wait.kind === "wait" ? wait.delayMs : wait))).toEqual([
      1_000,
      2_000,
      4_000,
      8_000,
      10_000,
      { kind: "crash-loop", restarts: 5 },
    ]);
  });

  test("count only inside the window, and not after a reset", () => {
    const backoff = new RestartBackoff(policy, () => 0.5);
    for (let n = 0; n < 5; n++) backoff.next(n, 0);
    expect(backoff.next(599_999, 0).kind).toBe("crash-loop");
    expect(backoff.next(600_004, 0)).toEqual({ kind: "wait", delayMs: 1_000 });
    backoff.reset();
    expect(backoff.next(600_005, 0)).toEqual({ kind: "wait", delayMs: 1_000 });
  });

  test("begin again with the shortest wait after a stable time, and still count as restarts", () => {
    const backoff = new RestartBackoff(policy, () => 0.5);
    const next = (nowMs: number, ranMs: number) => backoff.next(nowMs, ranMs);
    next(0, 0);
    expect(next(1, 59_999)).toEqual({ kind: "wait", delayMs: 2_000 });
    expect(next(2, 60_000)).toEqual({ kind: "wait", delayMs: 1_000 });
    expect(next(3, 0)).toEqual({ kind: "wait", delayMs: 2_000 });
    next(4, 60_000);
    expect(next(5, 60_000)).toEqual({ kind: "crash-loop", restarts: 5 });
  });

  test("vary by 20 % up and down", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (chance) => {
        const next = new RestartBackoff(policy, () => chance).next(0, 0);
        expect(next.kind).toBe("wait");
        if (next.kind === "wait") expect(next.delayMs).toBeCloseTo(800 + 400 * chance, 6);
      }),
    );
  });
});

describe("the gate", () => {
  test("lets in so many, queues in order, and refuses past the queue", async () => {
    const gate = new RequestGate(2, new VirtualClock(), 3);
    const [first, second] = await Promise.all([gate.enter(1_000), gate.enter(1_000)]);
    const order: number[] = [];
    const waiting = Array.from({ length: 3 }, (_, n) =>
      gate.enter(1_000).then((place) => {
        order.push(n);
        return place;
      }),
    );
    expect(await gate.enter(1_000)).toMatchObject({ kind: "overload" });
    if (first.ok) first.release();
    if (first.ok) first.release(); // Twice is harmless.
    if (second.ok) second.release();
    await Promise.all(waiting.slice(0, 2));
    expect(order).toEqual([0, 1]);
    expect([gate.running, gate.queued]).toEqual([2, 1]);
  });

  test("ends a wait by time, by signal, and by turning all away", async () => {
    const clock = new VirtualClock();
    const gate = new RequestGate(1, clock, 256);
    await gate.enter(1);
    const abort = new AbortController();
    const [late, gone, away] = [gate.enter(50), gate.enter(1_000, abort.signal), gate.enter(1_000)];
    await clock.advance(50);
    abort.abort();
    gate.turnAway({ ok: false, kind: "stopped", message: "x" });
    expect(await late).toMatchObject({ kind: "timeout" });
    expect(await gone).toMatchObject({ kind: "cancelled" });
    expect(await away).toMatchObject({ kind: "stopped" });
  });
});

describe("the kernel's order", () => {
  test.each([
    [0, 4, 1_000],
    [1, 4, 700],
    [2, 4, 400],
    [3, 4, 100],
    [0, 1, 100],
    [0, 2, 1_000],
    [1, 2, 100],
  ])("the plugin at %i of %i has score %i", (index, count, score) => {
    expect(oomScoreAdj(index, count)).toBe(score);
  });

  test("falls along the degradation order and stays within 100..1000", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 64 }), (count) => {
        const scores = Array.from({ length: count }, (_, index) => oomScoreAdj(index, count));
        expect(scores[0]).toBe(1_000);
        expect(scores.at(-1)).toBe(100);
        for (let at = 1; at < count; at++) expect(scores[at] ?? 0).toBeLessThan(scores[at - 1] ?? 0);
      }),
    );
  });
});

describe("the cause of an end", () => {
  const facts: ExitFacts = {
    exitCode: null,
    signal: null,
    oomKillsInCgroup: null,
    oomKillsOnHost: null,
    limitBytes: null,
    overLimitBytes: null,
    killedBecause: null,
    stoppedByUs: "no",
  };
  test.each([
    ["code", { exitCode: 3 }, "exit", "exited with code 3"],
    ["no such command", { exitCode: 127 }, "exit", "exited with code 127 (the command was not found)"],
    ["crash", { signal: "SIGSEGV" }, "signal", "crashed with SIGSEGV (invalid memory access)"],
    ["other signal", { signal: "SIGHUP" }, "signal", "ended by SIGHUP"],
    [
      "oom in its cgroup",
      { signal: "SIGKILL", oomKillsInCgroup: 1, limitBytes: 2 ** 26 },
      "oom",
      "killed by the kernel (out of memory, its limit is 64.0 MiB)",
    ],
    [
      "oom on the host",
      { signal: "SIGKILL", oomKillsOnHost: 1 },
      "oom",
      "killed, most likely by the kernel (out of memory): it killed for memory just then",
    ],
    [
      "killed, and its cgroup knows of no oom",
      { signal: "SIGKILL", oomKillsInCgroup: 0, oomKillsOnHost: 1 },
      "signal",
      "killed by someone else (SIGKILL that conductor did not send)",
    ],
    [
      "a child was oom-killed and it gave up",
      { exitCode: 1, oomKillsInCgroup: 1 },
      "oom",
      "killed by the kernel (out of memory)",
    ],
    [
      "over the limit that we watch",
      { signal: "SIGKILL", oomKillsOnHost: 1, limitBytes: 2 ** 26, overLimitBytes: 2 ** 27 },
      "oom",
      "killed by conductor: over its memory limit of 64.0 MiB (held 128 MiB)",
    ],
    [
      "given up",
      { signal: "SIGKILL", oomKillsInCgroup: 0, killedBecause: "it closed its stdout" },
      "signal",
      "killed by conductor: it closed its stdout",
    ],
    [
      "given up, and had ended by itself",
      { exitCode: 4, killedBecause: "it closed its stdout" },
      "exit",
      "exited with code 4",
    ],
    ["stopped", { signal: "SIGTERM", stoppedByUs: "term" }, "stopped", "stopped"],
    [
      "killed after the grace",
      { signal: "SIGKILL", stoppedByUs: "kill" },
      "stopped",
      "did not end when asked, and was killed after the grace period",
    ],
    ["urgent", { signal: "SIGKILL", stoppedByUs: "urgent" }, "stopped", "killed at once"],
  ] as const)("%s", (_, more, kind, text) => {
    expect(exitCause({ ...facts, ...more })).toEqual({ kind, text });
  });
});

test("a name with spaces and parentheses does not confuse the reading of /proc/PID/stat", () => {
  const tail = "S 1 42 42 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
  expect(parseStat(`42 (a) b (c)) ${tail}`)).toEqual({
    pid: 42,
    state: "S",
    parentPid: 1,
    groupId: 42,
    sessionId: 42,
    startTicks: 98_765,
  });
  expect(parseStat("")).toBeNull();
});

test("the environment holds nothing that is not allowed, and PATH always", () => {
  const own = { SECRET: "1", HOME: "/h", CONDUCTOR_TOKEN: "t", NOTIFY_SOCKET: "n", KEY: "k" };
  const plugin = { name: "bot", runId: "r", instance: 7, runtime: "exec", dataFolder: null } as const;
  const given = childEnvironment(own, ["KEY", "CONDUCTOR_TOKEN", "NOTIFY_SOCKET"], plugin);
  expect(Object.keys(given).sort()).toEqual([
    "CONDUCTOR_INSTANCE",
    "CONDUCTOR_PLUGIN",
    "CONDUCTOR_RUN",
    "HOME",
    "KEY",
    "PATH",
  ]);
});

test("the states have the arrows of the picture", () => {
  for (const [from, to] of [
    ["discovered", "starting"],
    ["ready", "draining"],
    ["draining", "shed"],
    ["failed", "crash-loop"],
    ["shed", "starting"],
  ] as const)
    expect(mayMove(from, to)).toBe(true);
  for (const [from, to] of [
    ["invalid", "starting"],
    ["ready", "shed"],
    ["draining", "ready"],
    ["shed", "ready"],
    ["stopped", "failed"],
  ] as const)
    expect(mayMove(from, to)).toBe(false);
});

test("the program starts itself as an executable or through the runtime", () => {
  expect(selfCommand("/opt/conductor", "/$bunfs/root/main.js")).toEqual(["/opt/conductor"]);
  expect(selfCommand("/usr/bin/bun", "/src/main.ts")).toEqual([
    "/usr/bin/bun",
    "--no-env-file",
    "/src/main.ts",
  ]);
});
