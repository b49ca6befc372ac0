import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { Breakers } from "../../src/health/breakers.ts";
import type { HealthResult } from "../../src/health/probe.ts";
import { Recorder } from "./recorder.ts";

const resetMs = 30_000;

function breakers() {
  const clock = new VirtualClock(1_000_000);
  const events = new Recorder();
  return { clock, events, subject: new Breakers({ clock, events, failures: 3, resetMs }) };
}

const result = (over: Partial<HealthResult>): HealthResult => ({
  plugin: "voice",
  platform: "voice",
  status: "healthy",
  failure: null,
  detail: "",
  durationSeconds: 0.001,
  consecutiveFailures: 0,
  atMs: 0,
  ...over,
});
const hung = result({ status: "failed", failure: "timeout", detail: "no answer within 5 s" });

function failThrice(subject: Breakers, platform: string): void {
  for (let i = 0; i < 3; i++) {
    const answer = subject.acquire(platform);
    if (answer.permitted) answer.permit.failure("timeout");
  }
}

describe("announcing", () => {
  test("every move once, half-open when its time comes without any call", async () => {
    const { clock, events, subject } = breakers();
    failThrice(subject, "voice");
    await clock.advance(resetMs - 1);
    expect(events.moves()).toEqual(["voice closed>open"]);
    await clock.advance(1);
    expect(events.moves()).toEqual(["voice closed>open", "voice open>half-open"]);
    const answer = subject.acquire("voice");
    if (answer.permitted) answer.permit.success();
    await clock.advance(10 * resetMs);
    expect(events.moves().slice(2)).toEqual(["voice half-open>closed"]);
    expect(events.events[0]?.data.reason).toBe("3 failures in a row, the last: timeout");
  });

  test("nothing after stop", async () => {
    const { clock, events, subject } = breakers();
    failThrice(subject, "voice");
    subject.stop();
    await clock.advance(resetMs);
    expect(events.moves()).toEqual(["voice closed>open"]);
  });
});

test("platforms do not touch each other, and a refusal says why and how long", async () => {
  const { clock, subject } = breakers();
  failThrice(subject, "voice");
  await clock.advance(10_000);
  expect(subject.acquire("voice")).toEqual({
    permitted: false,
    reason: "3 failures in a row, the last: timeout",
    retryAfterMs: 20_000,
  });
  expect(subject.acquire("discord").permitted).toBe(true);
});

test("a platform with a reset time of its own stays open for that, and a changed one holds from the next time", async () => {
  const own = new Map([["voice", 120_000]]);
  const clock = new VirtualClock(1_000_000);
  const events = new Recorder();
  const subject = new Breakers({
    clock,
    events,
    failures: 3,
    resetMs,
    resetMsOf: (platform) => own.get(platform) ?? resetMs,
  });
  failThrice(subject, "voice");
  failThrice(subject, "discord");
  expect(subject.acquire("voice")).toMatchObject({ permitted: false, retryAfterMs: 120_000 });
  expect(subject.acquire("discord")).toMatchObject({ permitted: false, retryAfterMs: resetMs });
  await clock.advance(119_999);
  expect(subject.acquire("voice").permitted).toBe(false);
  own.set("voice", 10_000);
  await clock.advance(1);
  const probe = subject.acquire("voice");
  if (probe.permitted) probe.permit.failure("timeout");
  expect(subject.acquire("voice")).toMatchObject({ permitted: false, retryAfterMs: 10_000 });
  expect(events.moves().filter((move) => move.startsWith("voice"))).toEqual([
    "voice closed>open",
    "voice open>half-open",
    "voice half-open>open",
  ]);
});

describe("by hand", () => {
  test("open, isolate and close carry their reason into the list and the event", () => {
    const { events, subject } = breakers();
    subject.open("voice", "testing");
    expect(subject.list()).toMatchObject([
      { platform: "voice", state: "open", isolated: false, reason: "testing", movedBy: "person" },
    ]);
    subject.isolate("voice", "maintenance");
    expect(subject.acquire("voice")).toEqual({ permitted: false, reason: "maintenance", retryAfterMs: null });
    subject.close("voice", "done");
    expect(events.events.map(({ data }) => [data.from, data.to, data.reason])).toEqual([
      ["closed", "open", "testing"],
      ["open", "open", "isolated: maintenance"],
      ["open", "closed", "done"],
    ]);
  });

  test("a long reason is cut", () => {
    const { subject } = breakers();
    subject.open("voice", "x".repeat(10_000));
    expect(subject.list()[0]?.reason).toHaveLength(300);
  });
});

describe("health checks", () => {
  test("a failed platform opens it, a healthy one closes it only after the reset time", async () => {
    const { clock, subject } = breakers();
    subject.checked(result({ status: "unhealthy", failure: "timeout" }));
    expect(subject.get("voice").getState().state).toBe("closed");
    subject.checked(hung);
    expect(subject.get("voice").getState()).toMatchObject({
      state: "open",
      movedBy: "health",
      reason: "health: no answer within 5 s",
    });
    subject.checked(result({}));
    expect(subject.get("voice").getState().state).toBe("open");
    await clock.advance(resetMs);
    subject.checked(result({ status: "unhealthy" }));
    expect(subject.get("voice").getState().state).toBe("half-open");
    subject.checked(result({}));
    expect(subject.get("voice").getState().state).toBe("closed");
  });

  test("while the checks go on failing no request is spent on a probe", async () => {
    const { clock, subject } = breakers();
    subject.checked(hung);
    await clock.advance(resetMs);
    subject.checked(hung);
    expect(subject.acquire("voice")).toMatchObject({ permitted: false, retryAfterMs: resetMs });
  });

  test("a healthy check neither clears nor closes what requests found", async () => {
    const { clock, subject } = breakers();
    for (let i = 0; i < 3; i++) {
      subject.checked(result({}));
      const answer = subject.acquire("voice");
      if (answer.permitted) answer.permit.failure("timeout");
    }
    expect(subject.get("voice").getState().state).toBe("open");
    await clock.advance(resetMs);
    subject.checked(result({}));
    expect(subject.get("voice").getState().state).toBe("half-open");
  });

  test("a plugin that was started anew does not wait for what health checks saw of its former process", () => {
    const { subject, events } = breakers();
    subject.pluginStarted("nobody knows it yet");
    subject.checked(hung);
    expect(subject.acquire("voice").permitted).toBe(false);
    subject.pluginStarted("voice");
    expect(subject.acquire("voice").permitted).toBe(true);
    expect(events.moves()).toEqual(["voice closed>open", "voice open>closed"]);
    failThrice(subject, "voice");
    subject.pluginStarted("voice");
    expect(subject.acquire("voice").permitted).toBe(false);
    subject.checked(hung);
    subject.isolate("voice", "by hand");
    subject.pluginStarted("voice");
    expect(subject.list()[0]).toMatchObject({ platform: "voice", state: "open", isolated: true });
  });

  test("an exit opens nothing, and checks leave an isolated one alone", () => {
    const { subject } = breakers();
    subject.checked(result({ status: "failed", failure: "exited" }));
    expect(subject.get("voice").getState().state).toBe("closed");
    subject.isolate("voice", "hold");
    subject.checked(hung);
    subject.checked(result({}));
    expect(subject.get("voice").getState()).toMatchObject({ isolated: true, reason: "hold" });
  });
});

test("what is stored comes back, and a form that is none is named", () => {
  const { subject } = breakers();
  failThrice(subject, "voice");
  subject.isolate("discord", "hold");
  const stored: unknown = JSON.parse(JSON.stringify(subject.serialize()));
  const next = breakers().subject;
  expect(next.restore({ ...(stored as object), android: { ownState: 7 } })).toEqual(["android"]);
  expect(next.list().map(({ platform, state, isolated }) => [platform, state, isolated])).toEqual([
    ["voice", "open", false],
    ["discord", "open", true],
    ["android", "closed", false],
  ]);
});

test("holds at most 1,024 platforms, and only those retained", () => {
  const { subject } = breakers();
  for (let i = 0; i < 3_000; i++) subject.get(`p${i}`);
  expect(subject.list()).toHaveLength(1_024);
  subject.retain(new Set(["p2999", "gone"]));
  expect(subject.list().map(({ platform }) => platform)).toEqual(["p2999"]);
});
