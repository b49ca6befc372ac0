/** The circuit breakers over HTTP: shown with what moved them, moved by hand, and as they are after a restart. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { breakerRecorderOf, restoreBreakers } from "../../src/conductor/breaker-store.ts";
import { Breakers } from "../../src/health/breakers.ts";
import { recordedLog } from "../storage/scratch.ts";
import { problemOf, type Served, served } from "./served.ts";

let subject: Served;
beforeEach(async () => {
  subject = await served();
});
afterEach(() => subject.end());

const order = async (path: string, reason: string) => {
  const response = await subject.post(`/api/v1/breakers/${path}`, { reason }, subject.administrator);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

test("open, isolate and close answer the breaker as it is then, with the moves and why", async () => {
  const opened = await order("voice/open", "  a test ");
  expect(opened).toMatchObject({
    status: 200,
    body: { platform: "voice", state: "open", isolated: false, nextProbeAt: "2026-01-01T00:00:30.000Z" },
  });
  expect((await order("voice/isolate", "repairs")).body).toMatchObject({
    isolated: true,
    nextProbeAt: null,
    reason: "repairs",
  });
  const asked = subject.post("/api/v1/requests", { platform: "voice", payload: 1 });
  const refused = await subject.turning(asked);
  expect(((await refused.json()) as { degraded: boolean }).degraded).toBe(true);
  const metrics = await (await subject.get("/metrics")).text();
  expect(metrics).toContain('conductor_fallbacks_total{platform="voice"} 1');
  await subject.clock.advance(60_000);
  const closedAt = new Date(subject.clock.nowMs()).toISOString();
  const closed = await order("voice/close", "repaired");
  expect(closed.body).toMatchObject({ state: "closed", movedBy: "person" });
  expect(closed.body).toEqual(await subject.json("/api/v1/breakers/voice"));
  expect(closed.body.moves).toEqual([
    {
      at: closedAt,
      from: "open",
      to: "closed",
      reason: "repaired",
      movedBy: "person",
    },
    {
      at: "2026-01-01T00:00:00.000Z",
      from: "open",
      to: "open",
      reason: "isolated: repairs",
      movedBy: "person",
    },
    { at: "2026-01-01T00:00:00.000Z", from: "closed", to: "open", reason: "a test", movedBy: "person" },
  ]);
});

test("one that is isolated is not opened for a while only: it has to be closed first", async () => {
  await order("voice/isolate", "repairs");
  expect(await order("voice/open", "a test")).toMatchObject({
    status: 409,
    body: { code: "breaker_isolated" },
  });
  expect(subject.breakers.view("voice")).toMatchObject({ isolated: true, reason: "repairs" });
});

test("what requests did is on record beside it", async () => {
  for (let i = 0; i < 3; i++) {
    const answer = subject.breakers.acquire("discord");
    if (answer.permitted) answer.permit.failure("timeout");
  }
  expect(await subject.json("/api/v1/breakers/discord")).toMatchObject({
    state: "open",
    moves: [{ movedBy: "requests", reason: "3 failures in a row, the last: timeout" }],
  });
});

test("an unknown platform is 404 with the known ones, and gets no breaker by being asked for", async () => {
  const known = ["voice", "android", "discord", "stubs"];
  for (const response of [
    await subject.get("/api/v1/breakers/nobody"),
    await subject.post("/api/v1/breakers/nobody/open", { reason: "a test" }, subject.administrator),
  ])
    expect(await problemOf(response)).toMatchObject({ status: 404, code: "platform_unknown", known });
  expect(subject.breakers.list()).toHaveLength(4);
});

test.each([
  [{}, 400],
  [{ reason: "" }, 400],
  [{ reason: "   " }, 400],
  [{ reason: "x".repeat(301) }, 400],
  [{ reason: 7 }, 400],
  [{ reason: "a test", more: 1 }, 400],
  ["{", 400],
])("%j is no order, and moves nothing", async (body, status) => {
  const response = await subject.post("/api/v1/breakers/voice/open", body, subject.administrator);
  expect((await problemOf(response)).status).toBe(status);
  expect(subject.breakers.view("voice")?.state).toBe("closed");
});

test("after a restart the served platforms stand as before, and one that cannot be understood starts closed", async () => {
  await order("voice/isolate", "repairs");
  await order("discord/open", "a test");
  await order("android/open", "a test");
  const { storage, clock } = subject;
  storage.breakers.keep("stubs", 1, { nonsense: true });
  await clock.advance(10_000);
  const { log, lines } = recordedLog();
  const events = { publish: () => undefined };
  const recorder = breakerRecorderOf(storage, clock);
  const next = new Breakers({ clock, events, recorder, failures: 3, resetMs: 30_000 });
  for (const platform of ["voice", "discord", "stubs"]) next.get(platform);
  restoreBreakers(next, storage, log);
  expect(next.list().map(({ platform, state, isolated }) => [platform, state, isolated])).toEqual([
    ["voice", "open", true],
    ["discord", "open", false],
    ["stubs", "closed", false],
  ]);
  expect(next.get("discord").retryAfterMs()).toBe(20_000);
  expect(JSON.stringify(lines)).toContain("breakers.not_understood");
  expect(storage.breakers.moves("discord")).toHaveLength(1);
  next.stop();
});
