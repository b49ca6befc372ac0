import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { HealthMonitor } from "../../src/health/monitor.ts";
import { silentLog } from "../../src/log.ts";
import { fail, intervalMs, monitor, says } from "./monitored.ts";
import { Recorder } from "./recorder.ts";
import { type Behaviour, healthy, ScriptedProbe } from "./scripted-probe.ts";

describe("status", () => {
  const rows: { name: string; rounds: Behaviour[]; status: string; failures: number; detail: string }[] = [
    { name: "answers", rounds: [healthy], status: "healthy", failures: 0, detail: "" },
    {
      name: "answers at the limit",
      rounds: [says({ status: "healthy" }, 200)],
      status: "healthy",
      failures: 0,
      detail: "",
    },
    {
      name: "answers slowly",
      rounds: [says({ status: "healthy" }, 201)],
      status: "degraded",
      failures: 0,
      detail: "answered in 201 ms; slow is over 200 ms",
    },
    {
      name: "calls itself degraded",
      rounds: [says({ status: "degraded", detail: "cache cold" })],
      status: "degraded",
      failures: 0,
      detail: "cache cold",
    },
    {
      name: "calls itself unhealthy four times: its own word, not a failed check",
      rounds: new Array<Behaviour>(4).fill(says({ status: "unhealthy", detail: "apt install espeak-ng" })),
      status: "unhealthy",
      failures: 0,
      detail: "apt install espeak-ng",
    },
    { name: "fails once", rounds: [fail("error")], status: "unhealthy", failures: 1, detail: "it error" },
    {
      name: "fails twice",
      rounds: [fail("error"), fail("error")],
      status: "unhealthy",
      failures: 2,
      detail: "it error",
    },
    {
      name: "fails three times",
      rounds: [fail("error"), fail("error"), fail("error")],
      status: "failed",
      failures: 3,
      detail: "it error",
    },
    {
      name: "fails, answers, fails twice",
      rounds: [fail("error"), healthy, fail("error"), fail("error")],
      status: "unhealthy",
      failures: 2,
      detail: "it error",
    },
    {
      name: "failed and answers again",
      rounds: [fail("error"), fail("error"), fail("error"), healthy],
      status: "healthy",
      failures: 0,
      detail: "",
    },
  ];
  test.each(rows)("a plugin that $name is $status", async ({ rounds, status, failures, detail }) => {
    const { clock, probe, subject, of } = monitor(["voice"]);
    let round = 0;
    probe.onCheck = () => probe.behaviour.set("voice", rounds[round++] ?? healthy);
    subject.start();
    await clock.advance(rounds.length * intervalMs - 1);
    subject.stop();
    expect(of("voice")).toMatchObject({ status, consecutiveFailures: failures, detail } as object);
  });

  test("is unknown before the first check, with no time made up", () => {
    expect(monitor(["voice"]).of("voice")).toEqual({
      plugin: "voice",
      platform: "voice",
      status: "unknown",
      detail: "not checked yet",
      lastCheckMs: null,
      durationMs: null,
      consecutiveFailures: 0,
      sinceMs: 1_000_000,
    });
  });

  test("a check that throws is a failure of that plugin only", async () => {
    const { clock, probe, subject, of } = monitor(["voice", "stubs"]);
    probe.onCheck = (name) => {
      if (name === "voice") throw new Error("socket gone");
    };
    subject.start();
    await clock.advance(intervalMs - 1);
    expect(of("voice")).toMatchObject({ status: "unhealthy", detail: "socket gone" });
    expect(of("stubs")).toMatchObject({ status: "healthy" });
  });
});

describe("coming and going", () => {
  test.each([
    ["shed", "shed"],
    ["stopped", "stopped"],
    ["disabled", "stopped"],
    ["starting", "unknown"],
  ] as const)(
    "a plugin that is %s shows as %s, is not checked, and has not failed",
    async (standing, status) => {
      const { clock, probe, results, subject, of } = monitor(["voice", "stubs"]);
      probe.set("voice", { expected: false, standing, reason: "as told" });
      subject.start();
      await clock.advance(4 * intervalMs);
      expect(of("voice")).toMatchObject({
        status,
        detail: "as told",
        consecutiveFailures: 0,
        lastCheckMs: null,
      });
      expect(probe.starts.get("voice")).toBeUndefined();
      expect(results.some(({ platform }) => platform === "voice")).toBe(false);
    },
  );

  test("shed in the middle of a check: the check is dropped; restored: unknown, then checked", async () => {
    const { clock, events, probe, results, subject, of } = monitor(["voice"]);
    probe.behaviour.set("voice", "hang");
    subject.start();
    await clock.advance(2_000);
    probe.set("voice", { expected: false, standing: "shed", reason: "memory at 83 %" });
    subject.refresh();
    expect(of("voice")).toMatchObject({ status: "shed" });
    await clock.advance(4 * intervalMs);
    expect(results).toEqual([]);
    probe.behaviour.set("voice", healthy);
    probe.set("voice", { expected: true });
    expect(of("voice")).toMatchObject({ status: "unknown" });
    await clock.advance(intervalMs + 1_250);
    expect(of("voice")).toMatchObject({ status: "healthy" });
    expect(events.moves()).toEqual(["voice unknown>shed", "voice shed>unknown", "voice unknown>healthy"]);
  });

  test("a plugin stopped since the round began is not checked in it, though nobody said so", async () => {
    const { clock, probe, subject } = monitor(["voice", "stubs"]);
    subject.start();
    await clock.advance(2_000);
    probe.set("stubs", { expected: false, standing: "stopped" });
    await clock.advance(2 * intervalMs);
    expect(probe.starts.get("stubs")).toBeUndefined();
  });

  test("a new plugin is checked from the next round on; a removed one is forgotten", async () => {
    const { clock, probe, subject } = monitor(["voice"]);
    subject.start();
    await clock.advance(intervalMs - 1);
    probe.list = [{ name: "fresh", platform: "fresh", expected: true }];
    await clock.advance(intervalMs);
    expect(subject.status().map(({ plugin, status }) => [plugin, status])).toEqual([["fresh", "healthy"]]);
    expect(probe.starts.get("voice")).toHaveLength(1);
  });
});

describe("process exit", () => {
  test("fails the platform at once, drops the check, and lasts until the plugin answers", async () => {
    const { clock, events, probe, results, subject, of } = monitor(["voice"]);
    subject.start();
    await clock.advance(intervalMs - 1);
    probe.behaviour.set("voice", "stuck");
    await clock.advance(2_000);
    subject.processExited("voice", "exit code 3");
    expect(of("voice")).toMatchObject({ status: "failed", detail: "exit code 3", consecutiveFailures: 1 });
    expect(results.at(-1)).toMatchObject({ failure: "exited", status: "failed", durationSeconds: null });
    probe.behaviour.set("voice", fail("error"));
    await clock.advance(intervalMs);
    expect(of("voice")).toMatchObject({ status: "failed", consecutiveFailures: 2 });
    probe.behaviour.set("voice", healthy);
    await clock.advance(intervalMs);
    expect(events.moves()).toEqual(["voice unknown>healthy", "voice healthy>failed", "voice failed>healthy"]);
  });

  test("a check of the dead process that settles later does not touch its successor's", async () => {
    const { clock, probe, subject } = monitor(["voice"], { timeoutMs: 12_000 });
    probe.behaviour.set("voice", says({ status: "healthy" }, 7_000));
    subject.start();
    await clock.advance(2_000);
    subject.processExited("voice");
    probe.behaviour.set("voice", "stuck");
    await clock.advance(12_000);
    expect(probe.starts.get("voice")).toHaveLength(2);
  });

  test("of a plugin that was shed, or that nobody knows, is no failure", () => {
    const { probe, results, subject, of } = monitor(["voice"]);
    probe.set("voice", { expected: false, standing: "shed" });
    subject.processExited("voice");
    subject.processExited("nobody");
    expect(of("voice")).toMatchObject({ status: "shed", consecutiveFailures: 0 });
    expect(results).toEqual([]);
  });
});

test("a throwing observer stops neither the loop nor the other observers", async () => {
  const clock = new VirtualClock();
  const probe = new ScriptedProbe(clock, ["voice"]);
  const failures: string[] = [];
  let seen = 0;
  const throwing = {
    checked() {
      throw new Error("observer");
    },
  };
  const subject = new HealthMonitor({
    clock,
    log: { ...silentLog, error: (event) => failures.push(event) },
    events: new Recorder(),
    probe,
    observers: [throwing, { checked: () => seen++ }],
    intervalMs,
    timeoutMs: 5_000,
    slowMs: 200,
    failures: 3,
    seed: 1,
  });
  subject.start();
  await clock.advance(2 * intervalMs - 1);
  expect([seen, failures.length]).toEqual([2, 2]);
});
