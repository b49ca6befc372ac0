/** `/api/v1/scaling/preflight` on a real socket. The four plugins hold 100 MiB each of 1,000; the line is at 800. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { longestLeaseMs } from "../../src/scaler/leases.ts";
import { problemOf, type Served, served } from "./served.ts";

const MiB = 2 ** 20;
const path = "/api/v1/scaling/preflight";
let subject: Served;

beforeEach(async () => {
  subject = await served();
});
afterEach(() => subject.end());

const ask = (body: unknown, headers: Record<string, string> = {}) => subject.post(path, body, headers);
const granted = async (body: unknown) => {
  const response = await ask(body);
  expect(response.status).toBe(200);
  return (await response.json()) as { leaseId: string; expiresAt: string };
};
const on = (leaseId: string, method: string, body?: unknown) =>
  fetch(subject.url(`${path}/${leaseId}`), {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
const reservations = async () => (await subject.json("/api/v1/scaling/status")).reservations;

describe("a lease", () => {
  test("is granted for a minute, without a token, and shows in the status without its name", async () => {
    const response = await ask({ bytes: 300 * MiB, name: "backup" });
    const body = (await response.json()) as Record<string, unknown>;
    expect(body).toEqual({
      decision: "proceed",
      leaseId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: "backup",
      bytes: 300 * MiB,
      takenBytes: 0,
      expiresAt: "2026-01-01T00:01:00.000Z",
      blockedBy: [],
      availableBytes: 400 * MiB,
      reason: "300 MiB fit: 70.0 % of the budget would be used, under the shed line of 80.0 %",
    });
    const shown = await subject.get("/api/v1/scaling/status");
    expect(await shown.text()).not.toContain(String(body.leaseId));
    expect(await reservations()).toEqual([
      {
        kind: "lease",
        name: "backup",
        bytes: 300 * MiB,
        takenBytes: 0,
        expiresAt: "2026-01-01T00:01:00.000Z",
      },
    ]);
  });

  test("is renewed by PUT and by POST, given back by DELETE, and is gone after its time", async () => {
    const { leaseId } = await granted({ bytes: MiB, leaseMs: 10_000 });
    await subject.clock.advance(5_000);
    expect(await (await on(leaseId, "PUT", { takenBytes: 1_000 })).json()).toMatchObject({
      leaseId,
      takenBytes: 1_000,
      expiresAt: "2026-01-01T00:01:05.000Z",
    });
    expect(await (await on(leaseId, "POST", { leaseMs: 1_000 })).json()).toMatchObject({
      takenBytes: 1_000,
      expiresAt: "2026-01-01T00:00:06.000Z",
    });
    expect(await (await on(leaseId, "POST")).json()).toMatchObject({ expiresAt: "2026-01-01T00:01:05.000Z" });
    expect(await (await on(leaseId, "DELETE")).json()).toEqual({ leaseId, released: true });
    expect(await reservations()).toEqual([]);
    for (const method of ["DELETE", "PUT", "POST"]) {
      const problem = await problemOf(await on(leaseId, method, method === "DELETE" ? undefined : {}));
      expect([method, problem.status, problem.code]).toEqual([method, 404, "lease_unknown"]);
    }
    const short = await granted({ bytes: MiB, leaseMs: 100 });
    await subject.clock.advance(100);
    expect((await on(short.leaseId, "PUT", {})).status).toBe(404);
  });

  test("of two that ask at once for the last room, one gets it; the other learns who has it", async () => {
    const answers = await Promise.all([
      ask({ bytes: 300 * MiB, name: "a" }),
      ask({ bytes: 300 * MiB, name: "b" }),
    ]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 503]);
    const refused = answers.find(({ status }) => status === 503);
    const holder = answers[0]?.status === 200 ? "a" : "b";
    expect(refused?.headers.get("retry-after")).toBe("30");
    expect(await problemOf(refused as Response)).toMatchObject({
      code: "memory_promised",
      decision: "wait",
      leaseId: null,
      expiresAt: null,
      blocked_by: "memory",
      availableBytes: 100 * MiB,
      blockedBy: expect.arrayContaining([
        { kind: "lease", name: holder, bytes: 300 * MiB },
        { kind: "plugin", name: "voice", bytes: 100 * MiB },
      ]),
      reason: expect.stringContaining(`the lease of ${holder} 300 MiB`),
    });
  });
});

test("where what runs has the memory, the answer is to refuse", async () => {
  const problem = await problemOf(await ask({ bytes: 400 * MiB }));
  expect(problem).toMatchObject({
    status: 503,
    code: "memory_short",
    decision: "refuse",
    blocked_by: "memory",
  });
});

test("more than is ever given is no matter of waiting: the answer names it and the budget", async () => {
  const response = await ask({ bytes: 801 * MiB });
  expect(response.headers.get("retry-after")).toBeNull();
  expect(await problemOf(response)).toMatchObject({
    status: 422,
    code: "over_budget",
    bytes: 801 * MiB,
    budgetBytes: 1_000 * MiB,
    mostBytes: 800 * MiB,
    detail:
      "bytes: 839909376 (801 MiB) is more than 838860800 (800 MiB), the 80.0 % of the budget of 1048576000 (1000 MiB) up to which memory may be used",
  });
});

test("without a measurement nothing is promised", async () => {
  subject.host.readable = false;
  expect(await problemOf(await ask({ bytes: 1 }))).toMatchObject({ status: 503, code: "no_measurement" });
});

test.each([
  [{}, "bytes"],
  [{ bytes: 0 }, "bytes"],
  [{ bytes: -1 }, "bytes"],
  [{ bytes: 1.5 }, "bytes"],
  [{ bytes: "2GiB" }, "bytes"],
  [{ bytes: 1e300 }, "bytes"],
  [{ bytes: 1, leaseMs: longestLeaseMs + 1 }, "leaseMs"],
  [{ bytes: 1, leaseMs: 0 }, "leaseMs"],
  [{ bytes: 1, name: "" }, "name"],
  [{ bytes: 1, name: "a\nb" }, "name"],
  [{ bytes: 1, name: "x".repeat(65) }, "name"],
  [{ bytes: 1, priority: 1.5 }, "priority"],
  [{ bytes: 1, priority: 2_000 }, "priority"],
  [{ bytes: 1, priority: "No Name" }, "priority"],
  [{ bytes: 1, shed: "yes" }, "shed"],
  [{ bytes: 1, size: 1 }, "size"],
])("%j is refused, naming the field", async (body, field) => {
  const problem = await problemOf(await ask(body));
  expect([problem.status, problem.code]).toEqual([400, "body_invalid"]);
  expect(String(problem.errors)).toContain(field);
  expect(await reservations()).toEqual([]);
});

test("a plugin that is not there is not more important than anybody", async () => {
  expect(await problemOf(await ask({ bytes: 1, priority: "nobody" }))).toMatchObject({
    status: 422,
    code: "plugin_unknown",
    detail: expect.stringContaining("priority: nobody is no plugin; known: "),
  });
});

describe("shedding for an operation", () => {
  const body = { bytes: 450 * MiB, priority: "discord", name: "backup" };

  test("administers: it needs the token, and nothing happens without", async () => {
    const response = await ask({ ...body, shed: true });
    expect(await problemOf(response)).toMatchObject({ status: 401, code: "token_required" });
    const wrong = await ask({ ...body, shed: true }, { Authorization: "Bearer wrong" });
    expect(wrong.status).toBe(401);
    expect([subject.host.log, await reservations()]).toEqual([[], []]);
  });

  test("is offered where it would help", async () => {
    expect(await problemOf(await ask(body))).toMatchObject({
      status: 503,
      detail: expect.stringContaining("; of less importance, voice could be shed for it"),
    });
  });

  test("frees the memory before the answer", async () => {
    const response = await subject.turning(ask({ ...body, shed: true }, subject.administrator));
    expect(await response.json()).toMatchObject({ decision: "proceed", availableBytes: 500 * MiB });
    expect(subject.host.log).toEqual(["stop voice", "gone voice"]);
  });
});
