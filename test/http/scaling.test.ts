import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { problemOf, type Served, served, startMs } from "./served.ts";

const MiB = 2 ** 20;
let subject: Served;

beforeAll(async () => {
  subject = await served();
});
afterAll(() => subject.end());

const decisionAt = (index: number, plugin: string, actions = 1) => ({
  atMs: startMs + index * 1_000,
  policy: "mission",
  rule: "threshold",
  reason: `number ${index}`,
  inputs: { measured: { usedBytes: 1, budgetBytes: 2 }, lastChangeMs: startMs },
  forecast: { state: "ready", atMs: startMs, smoothedRatio: 0.8 },
  plan: [plugin],
  actions: Array.from({ length: actions }, () => ({ kind: "shed", plugin, urgent: false, expectedBytes: 5 })),
  alternatives: [],
  plugins: [plugin],
});

interface Page {
  decisions: { id: number; reason: string; outcome: string }[];
  next: string | null;
}

const page = async (path: string): Promise<Page> => (await subject.json(path)) as unknown as Page;

describe("decisions", () => {
  test("are an empty list at first", async () => {
    expect(await page("/api/v1/scaling/decisions")).toEqual({ decisions: [], next: null });
  });

  test("come newest first, page by page, each once, with the limit and the plugin kept", async () => {
    for (let i = 0; i < 20; i++) subject.storage.decisions.append(decisionAt(i, i % 2 ? "voice" : "discord"));
    const seen: string[] = [];
    let path: string | null = "/api/v1/scaling/decisions?limit=3&plugin=voice";
    for (let pages = 0; path !== null && pages < 10; pages++) {
      const { decisions, next }: Page = await page(path);
      expect(decisions.length).toBeLessThanOrEqual(3);
      seen.push(...decisions.map(({ reason }) => reason));
      path = next;
    }
    expect(seen).toEqual([19, 17, 15, 13, 11, 9, 7, 5, 3, 1].map((i) => `number ${i}`));
  });

  test("are shown one by one with ISO times, and with what came of each action", async () => {
    const id = subject.storage.decisions.append(decisionAt(30, "voice", 2));
    const pending = await subject.json(`/api/v1/scaling/decisions/${id}`);
    expect(pending).toMatchObject({
      id,
      at: "2026-01-01T00:00:30.000Z",
      outcome: "pending",
      outcomeAt: null,
      forecast: { at: "2026-01-01T00:00:00.000Z", smoothedRatio: 0.8 },
      inputs: { lastChangeAt: "2026-01-01T00:00:00.000Z" },
      plan: ["voice"],
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(JSON.stringify(pending)).not.toContain('Ms":1767');
    subject.storage.decisions.setOutcome(id, [{ plugin: "voice", done: true, actualBytes: 7 }], startMs);
    expect(await subject.json(`/api/v1/scaling/decisions/${id}`)).toMatchObject({
      outcome: "pending",
      actions: [{ plugin: "voice", expectedBytes: 5, actualBytes: 7, done: true }, { plugin: "voice" }],
    });
    for (const [done, outcome] of [
      [true, "done"],
      [false, "failed"],
    ] as const) {
      subject.storage.decisions.setOutcome(id, [{ done: true }, { done }], startMs);
      expect(await subject.json(`/api/v1/scaling/decisions/${id}`)).toMatchObject({ outcome });
    }
    const held = subject.storage.decisions.append(decisionAt(31, "voice", 0));
    expect(await subject.json(`/api/v1/scaling/decisions/${held}`)).toMatchObject({
      outcome: "none",
      actions: [],
    });
  });

  test("have every time in them as ISO text, however deep; what is no time stays", async () => {
    const inputs = {
      lastChangeMs: null,
      ahead: { riseRatio: 0.1, atMs: startMs },
      plugins: [{ name: "voice", putOffUntilMs: startMs + 1 }, { putOffUntilMs: "soon" }],
      odd: { atMs: 1e300 },
    };
    const id = subject.storage.decisions.append({ ...decisionAt(33, "voice"), inputs });
    const { inputs: shown } = (await subject.json(`/api/v1/scaling/decisions/${id}`)) as { inputs: unknown };
    expect(shown).toEqual({
      lastChangeAt: null,
      ahead: { riseRatio: 0.1, at: "2026-01-01T00:00:00.000Z" },
      plugins: [{ name: "voice", putOffUntil: "2026-01-01T00:00:00.001Z" }, { putOffUntilMs: "soon" }],
      odd: { atMs: 1e300 },
    });
  });

  test("are chained: the newest hash is told, to be noted elsewhere", async () => {
    const id = subject.storage.decisions.append(decisionAt(34, "voice"));
    const { hash } = (await subject.json(`/api/v1/scaling/decisions/${id}`)) as { hash: string };
    const audit = await subject.json("/api/v1/scaling/audit");
    expect(audit).toMatchObject({ head: { hash, seq: expect.any(Number) }, waiting: 0, lost: 0 });
    subject.storage.decisions.setOutcome(id, [], startMs);
    expect(await subject.json("/api/v1/scaling/audit")).not.toMatchObject({ head: { hash } });
  });

  test("whose record is of another make are shown as far as they go", async () => {
    const odd = { inputs: null, forecast: "none", actions: { not: "a list" }, alternatives: 7 };
    const id = subject.storage.decisions.append({ ...decisionAt(32, "voice"), ...odd });
    expect(await subject.json(`/api/v1/scaling/decisions/${id}`)).toMatchObject({
      forecast: "none",
      actions: [],
    });
  });

  test("that are not there are 404, whatever stands for the id", async () => {
    for (const id of ["999999", "0", "-1", "1.5", "1e0", "0x1", "NaN", "%20", "%F0", "9".repeat(400), "last"])
      expect([id, await problemOf(await subject.get(`/api/v1/scaling/decisions/${id}`))]).toMatchObject([
        id,
        { status: 404, code: "decision_unknown" },
      ]);
  });

  test("cannot be read from a database that is gone: 503, and the log has why", async () => {
    const gone = await served();
    gone.storage.close();
    for (const path of ["decisions", "decisions/1"]) {
      const response = await gone.get(`/api/v1/scaling/${path}`);
      expect([503, 500]).toContain(response.status);
      await problemOf(response);
    }
    expect(gone.lines.map(({ event }) => event)).toContain("http.failed");
    await gone.end();
  });
});

describe("a wrong query", () => {
  test("is 400 and names each parameter", async () => {
    const table: [string, RegExp][] = [
      ["scaling/decisions?limit=0", /limit: .*from 1 to 500/],
      ["scaling/decisions?limit=501", /limit/],
      ["scaling/decisions?limit=ten", /limit/],
      ["scaling/decisions?limit=1.5", /limit/],
      ["scaling/decisions?limit=", /limit/],
      ["scaling/decisions?before=-1", /before/],
      ["scaling/decisions?before=1e999", /before/],
      ["scaling/decisions?plugin=", /plugin/],
      ["scaling/decisions?limmit=3", /did you mean "limit"/],
      ["resources/history?limit=99999", /limit/],
      ["resources/anomalies?sigma=0", /sigma/],
      ["resources/anomalies?sigma=NaN", /sigma/],
    ];
    for (const [path, expected] of table) {
      const problem = await problemOf(await subject.get(`/api/v1/${path}`));
      expect([path, problem.status, problem.code]).toEqual([path, 400, "query_invalid"]);
      expect([path, (problem.errors as string[]).join("\n")]).toEqual([
        path,
        expect.stringMatching(expected),
      ]);
    }
  });
});

describe("evaluate", () => {
  const evaluate = (body: unknown) => subject.post("/api/v1/scaling/evaluate", body, subject.administrator);
  const ruleOf = async (body: unknown): Promise<string> =>
    ((await (await evaluate(body)).json()) as { verdict: { rule: string } }).verdict.rule;

  test("has nothing to go by before memory was measured", async () => {
    const response = await evaluate({});
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await problemOf(response)).toMatchObject({ status: 503, code: "no_measurement" });
  });

  test("answers what would be done, and does nothing", async () => {
    subject.host.baseBytes = 0;
    subject.scaler.onReading({ usedBytes: 400 * MiB, budgetBytes: 1_000 * MiB });
    await subject.clock.advance(1);
    const table: [unknown, string][] = [
      [{}, "hold"],
      ["", "hold"],
      [{ usedRatio: 0.5 }, "hold"],
      [{ usedRatio: 0.8 }, "threshold"],
      [{ usedRatio: 0.95 }, "emergency"],
      [{ usedRatio: 10 }, "emergency"],
      // Without a forecast, a supposed one is taken as it is.
      [{ usedRatio: 0.5, smoothedForecastRatio: 0.9 }, "forecast"],
      [{ usedRatio: 0.5, smoothedForecastRatio: 0.79 }, "hold"],
    ];
    for (const [body, rule] of table) expect([body, await ruleOf(body)]).toEqual([body, rule]);
    expect(await (await evaluate({ usedRatio: 0.9 })).json()).toMatchObject({
      verdict: { rule: "threshold", actions: [{ kind: "shed", plugin: "voice" }] },
      situation: { usedBytes: 900 * MiB, budgetBytes: 1_000 * MiB },
      forecast: null,
    });
    expect([subject.host.log, subject.host.records]).toEqual([[], []]);
  });

  test("supposes only what it is told; the rest of the forecast stays", async () => {
    subject.scaler.setForecast({
      state: "cold",
      atMs: startMs,
      valueRatio: 0.4,
      smoothedRatio: 0.4,
      lowerRatio: 0.3,
      upperRatio: 0.5,
    });
    const body = await (await evaluate({ smoothedForecastRatio: 0.7 })).json();
    expect(body).toMatchObject({
      forecast: {
        state: "ready",
        at: "2026-01-01T00:00:00.000Z",
        smoothedRatio: 0.7,
        lowerRatio: 0.3,
        upperRatio: 0.7,
      },
    });
    expect(await ruleOf({ usedRatio: 0.5, smoothedForecastRatio: 0.9 })).toBe("forecast");
  });

  test("refuses what is no share of the budget", async () => {
    const wrong = [
      { usedRatio: -0.1 },
      { usedRatio: 11 },
      { usedRatio: "80%" },
      { usedRatio: null },
      { used: 1 },
      [],
      "x",
    ];
    for (const body of wrong) {
      const problem = await problemOf(await evaluate(body));
      expect([JSON.stringify(body), problem.status]).toEqual([JSON.stringify(body), 400]);
    }
  });
});

test("the status says what the scaler sees, under names with units", async () => {
  expect(await subject.json("/api/v1/scaling/status")).toMatchObject({
    at: "2026-01-01T00:00:00.001Z",
    policy: "mission",
    thresholds: {
      shedRatio: 0.8,
      restoreRatio: 0.65,
      emergencyRatio: 0.95,
      marginRatio: 0.05,
      dwellMs: 30_000,
    },
    order: ["voice", "android", "discord", "stubs"],
    shedding: false,
    stopping: null,
    lastChangeAt: null,
    measured: { usedBytes: 400 * MiB, budgetBytes: 1_000 * MiB, usedRatio: 0.4 },
    verdict: { rule: "hold" },
    plugins: [{ name: "voice" }, { name: "android" }, { name: "discord" }, { name: "stubs" }],
  });
});
