import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { problemOf, type Served, served, startMs } from "./served.ts";

const MiB = 2 ** 20;
const base = "/api/v1/scaling/shadows";
const order = ["voice", "android", "discord", "stubs"];
let subject: Served;

beforeAll(async () => {
  subject = await served({
    config: {
      shadow: [
        { name: "late", policy: "adaptive", shed: "92%", restore: "88%", order },
        { name: "early", shed: "70%", order },
      ],
    },
  });
});
afterAll(() => subject.end());

const send = (path: string, body: unknown = {}, headers = subject.administrator) =>
  subject.post(`${base}/${path}`, body, headers);

describe("shadow policies", () => {
  test("are listed with what they agreed on and would have done, since when, and who acts", async () => {
    subject.scaler.onReading({ usedBytes: 750 * MiB, budgetBytes: 1_000 * MiB });
    await subject.clock.advance(60_000);
    expect(await subject.json(base)).toMatchObject({
      acting: { policy: { kind: "mission", shedRatio: 0.8 }, promoted: null, configured: { shedRatio: 0.8 } },
      shadows: [
        {
          name: "late",
          acts: false,
          failed: false,
          promotion: "manual",
          evidence: null,
          policy: { kind: "adaptive", shedRatio: 0.92 },
          sinceAt: "2026-01-01T00:00:00.000Z",
          agreements: 1,
          differences: 0,
          wouldHave: { shed: {}, restore: {} },
          differsSinceAt: null,
          latest: [],
        },
        {
          name: "early",
          agreements: 0,
          differences: 1,
          differencesByRule: [{ rule: "threshold", actingRule: "hold", count: 1 }],
          wouldHave: { shed: { voice: 1 }, restore: {} },
          verdict: { rule: "threshold" },
          differsSinceAt: "2026-01-01T00:00:00.000Z",
          latest: [
            {
              at: "2026-01-01T00:00:00.000Z",
              untilAt: null,
              usedRatio: 0.75,
              rule: "threshold",
              actions: [{ kind: "shed", plugin: "voice" }],
              actingRule: "hold",
              actingActions: [],
            },
          ],
        },
      ],
      history: [],
    });
    const metrics = await (await subject.get("/metrics")).text();
    expect(metrics).toContain('conductor_shadow_readings_total{shadow="late",outcome="agree"} 1');
    expect(metrics).toContain('conductor_shadow_readings_total{shadow="early",outcome="differ"} 1');
    expect(metrics).toContain('conductor_shadow_differences_total{shadow="early",rule="threshold"} 1');
    expect(subject.host.log).toEqual([]);
  });

  test("are promoted and rolled back by who has the token, with who and why", async () => {
    for (const path of ["late/promote", "rollback"])
      expect((await problemOf(await send(path, {}, {} as never))).status).toBe(401);
    const promoted = await send("late/promote", { who: "anna", reason: "it did better" });
    expect([promoted.status, await promoted.json()]).toMatchObject([
      200,
      {
        acting: { policy: { kind: "adaptive" }, promoted: { shadow: "late", who: "anna" } },
        shadows: [
          { name: "late", acts: true },
          { name: "early", acts: false },
        ],
        history: [{ change: "promoted", shadow: "late", by: "person", who: "anna", reason: "it did better" }],
      },
    ]);
    expect(await subject.json("/api/v1/scaling/status")).toMatchObject({
      policy: "adaptive",
      thresholds: { shedRatio: 0.92 },
      promoted: { shadow: "late", by: "person", overrides: "scaler", probationUntilAt: null },
    });
    const evaluated = await subject.post(
      "/api/v1/scaling/evaluate",
      { usedRatio: 0.85 },
      subject.administrator,
    );
    expect(await evaluated.json()).toMatchObject({ verdict: { rule: "hold" }, policy: { kind: "adaptive" } });
    expect(await problemOf(await send("late/promote"))).toMatchObject({ status: 409, code: "acts_already" });
    expect((await send("rollback", "")).status).toBe(200);
    expect(await subject.json("/api/v1/scaling/status")).toMatchObject({ policy: "mission", promoted: null });
    expect(await problemOf(await send("rollback"))).toMatchObject({ status: 409, code: "not_promoted" });
    expect(subject.storage.promotions.latest(1)).toMatchObject([
      { change: "rolled-back", who: null, reason: "no reason was given", atMs: startMs + 60_000 },
    ]);
  });

  test("that are not there are 404 with those that are; a wrong order is 400", async () => {
    expect(await problemOf(await send("none/promote"))).toMatchObject({
      status: 404,
      code: "shadow_unknown",
      detail: "known: late, early",
    });
    for (const body of [{ why: "x" }, { reason: "" }, { reason: "x".repeat(301) }, { who: 5 }, []])
      expect((await problemOf(await send("late/promote", body))).status).toBe(400);
  });
});
