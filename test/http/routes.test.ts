import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { problemOf, type Served, sampleAt, served, startMs } from "./served.ts";

let subject: Served;
const MiB = 2 ** 20;

beforeAll(async () => {
  subject = await served();
});
afterAll(() => subject.end());

/** Keys of `value`, sorted. */
const keysOf = (value: unknown): string[] => Object.keys(value as object).sort();

/** Every key and string below `value`. */
function walk(value: unknown, see: (key: string, value: unknown) => void): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    see(key, inner);
    walk(inner, see);
  }
}

describe("the process", () => {
  test("is alive as soon as it listens", async () => {
    expect(await subject.json("/healthz")).toEqual({ status: "ok" });
  });

  test("is ready once everything has started, and says until then what it waits for", async () => {
    subject.waitFor("the plugins are starting");
    const waiting = await subject.get("/readyz");
    expect(waiting.headers.get("retry-after")).toBe("1");
    expect(await problemOf(waiting)).toMatchObject({
      status: 503,
      code: "not_ready",
      detail: "the plugins are starting",
    });
    subject.waitFor(null);
    expect(await subject.json("/readyz")).toEqual({ status: "ready", since: "2026-01-01T00:00:00.000Z" });
  });

  test("answers HEAD like GET, without a body", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics", "/api/v1/plugins"]) {
      const head = await fetch(subject.url(path), { method: "HEAD" });
      expect([path, head.status, await head.text()]).toEqual([path, 200, ""]);
    }
  });
});

describe("plugins", () => {
  test("come under their own name, the invalid ones with what is wrong", async () => {
    const { plugins } = (await subject.json("/api/v1/plugins")) as { plugins: Record<string, unknown>[] };
    expect(plugins.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "voice discovered",
      "android discovered",
      "discord discovered",
      "stubs discovered",
      "broken invalid",
    ]);
    expect(plugins[0]).toMatchObject({
      sinceAt: "2026-01-01T00:00:00.000Z",
      lastExit: null,
      footprint: { bytes: 5 * MiB, method: "pss" },
      limits: { memoryBytes: null, requestTimeoutMs: 5_000 },
    });
    expect(plugins[4]?.reason).toContain("runtime");
  });

  test("are shown one by one, in the shape of the list", async () => {
    const { plugins } = (await subject.json("/api/v1/plugins")) as { plugins: { name: string }[] };
    for (const plugin of plugins)
      expect(await subject.json(`/api/v1/plugins/${plugin.name}`)).toEqual({ ...plugin });
  });

  test("that do not exist are 404, with the names of those that do", async () => {
    const problem = await problemOf(await subject.get("/api/v1/plugins/nobody"));
    expect(problem).toMatchObject({
      status: 404,
      code: "unknown_plugin",
      instance: "/api/v1/plugins/nobody",
      known: ["voice", "android", "discord", "stubs", "broken"],
    });
  });
});

describe("resources", () => {
  test("are 503 with Retry-After before the first sample", async () => {
    const fresh = await served();
    const response = await fresh.get("/api/v1/resources/current");
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await problemOf(response)).toMatchObject({ status: 503, code: "no_sample" });
    expect(await fresh.json("/api/v1/resources/history")).toMatchObject({ samples: [] });
    expect(await fresh.json("/api/v1/resources/trends")).toEqual({ trends: {} });
    expect(await fresh.json("/api/v1/resources/summary")).toMatchObject({ at: null, current: null });
    await fresh.end();
  });

  test("are the newest sample, with ISO times, units in the keys, and null for a gap", async () => {
    for (let i = 0; i < 12; i++) subject.window.push(sampleAt(startMs + i * 30_000, 400 + i));
    expect(await subject.json("/api/v1/resources/current")).toMatchObject({
      at: "2026-01-01T00:05:30.000Z",
      memoryUsedBytes: 411 * MiB,
      memoryUsedPercent: expect.closeTo(41.1, 9),
      cpuPercent: 12.5,
      diskUsedPercent: null,
      disk: null,
      footprints: [{ plugin: "voice", bytes: 10 * MiB, method: "pss" }],
    });
  });

  test("have a history of the newest, the oldest first", async () => {
    const { samples, capacity, intervalMs } = (await subject.json("/api/v1/resources/history?limit=2")) as {
      samples: { at: string }[];
      capacity: number;
      intervalMs: number;
    };
    expect(samples.map(({ at }) => at)).toEqual(["2026-01-01T00:05:00.000Z", "2026-01-01T00:05:30.000Z"]);
    expect([capacity, intervalMs]).toEqual([60, 30_000]);
  });

  test("have trends: 1 MiB a sample of 30 s is 2 MiB a minute", async () => {
    const { trends } = (await subject.json("/api/v1/resources/trends")) as {
      trends: Record<string, { slopePerMinute: number; min: number; max: number }>;
    };
    expect(trends.memoryUsedBytes?.slopePerMinute).toBeCloseTo(2 * MiB, 3);
    expect([trends.memoryUsedBytes?.min, trends.memoryUsedBytes?.max]).toEqual([400 * MiB, 411 * MiB]);
    expect(trends.diskUsedPercent).toBeUndefined();
  });

  test("have anomalies at the sigma asked for, else the configured one", async () => {
    expect(await subject.json("/api/v1/resources/anomalies")).toMatchObject({ sigma: 3, anomalies: [] });
    expect(await subject.json("/api/v1/resources/anomalies?sigma=1")).toMatchObject({ sigma: 1 });
  });

  test("have a summary", async () => {
    expect(await subject.json("/api/v1/resources/summary")).toMatchObject({
      at: "2026-01-01T00:05:30.000Z",
      sinceAt: "2026-01-01T00:00:00.000Z",
      gaps: { disk: 2 },
      reflexIntervalMs: 1_000,
      intervalMs: 30_000,
    });
  });
});

describe("the forecast", () => {
  test("is null before the first sample, cold and finite with one, ready with ten", async () => {
    expect(await subject.json("/api/v1/forecast")).toMatchObject({
      kernel: "js",
      horizonSeconds: 300,
      memory: null,
      historyBegan: null,
      refused: { notFinite: 0, repeated: 0, backward: 0 },
    });
    subject.forecast.observe(startMs, 0.4);
    const { memory: cold } = (await subject.json("/api/v1/forecast")) as { memory: Record<string, unknown> };
    expect(cold).toMatchObject({ state: "cold", points: 1, value: 40, targetAt: "2026-01-01T00:05:00.000Z" });
    for (const [key, value] of Object.entries(cold))
      if (typeof value !== "string" && value !== null)
        expect([key, Number.isFinite(value)]).toEqual([key, true]);
    // 0.1 % of the budget every 30 s, so 0.2 % a minute; 5 minutes after the tenth point at 40.9 %: 41.9 %.
    for (let i = 1; i < 10; i++) subject.forecast.observe(startMs + i * 30_000, 0.4 + i / 1_000);
    const { memory, methods } = (await subject.json("/api/v1/forecast")) as {
      memory: Record<string, number | string>;
      methods: Record<"adaptive" | "ols", Record<string, number | string>>;
    };
    expect(memory).toMatchObject({
      state: "ready",
      points: 10,
      at: "2026-01-01T00:04:30.000Z",
      targetAt: "2026-01-01T00:09:30.000Z",
    });
    // The mix has met no outcome yet: the line stands in for it.
    expect(memory.method).toBe("ols");
    expect(memory.value).toBeCloseTo(41.9, 6);
    expect(methods.ols.value).toBe(memory.value as number);
    expect(methods.adaptive).toMatchObject({ calibration: "calibrating", coverage: null, outcomes: 0 });
    expect(memory.slopePerMinute).toBeCloseTo(0.2, 6);
    expect(Number(memory.lower)).toBeLessThanOrEqual(Number(memory.upper));
  });

  test("says since when, and why, its history began anew", async () => {
    subject.forecast.restart(startMs + 300_000, "voice was shed");
    expect(await subject.json("/api/v1/forecast")).toMatchObject({
      historyBegan: { at: "2026-01-01T00:05:00.000Z", because: "voice was shed" },
    });
  });
});

describe("health", () => {
  test("shows every platform with its breaker, and is degraded when one failed", async () => {
    expect(await subject.json("/api/v1/health")).toMatchObject({ status: "healthy" });
    subject.health.processExited("voice", "it exited with code 1");
    const health = (await subject.json("/api/v1/health")) as {
      status: string;
      platforms: Record<string, unknown>[];
    };
    expect(health.status).toBe("degraded");
    expect(health.platforms[0]).toMatchObject({
      plugin: "voice",
      platform: "voice",
      status: "failed",
      detail: "it exited with code 1",
      lastCheckAt: null,
      sinceAt: "2026-01-01T00:00:00.000Z",
    });
  });

  test("lists breakers under their name, with the time of the next probe", async () => {
    subject.breakers.open("discord", "a test");
    const { breakers } = (await subject.json("/api/v1/breakers")) as { breakers: Record<string, unknown>[] };
    expect(breakers.find(({ platform }) => platform === "discord")).toMatchObject({
      state: "open",
      nextProbeAt: "2026-01-01T00:00:30.000Z",
    });
    subject.breakers.isolate("android", "a test");
    const after = (await subject.json("/api/v1/breakers")) as { breakers: Record<string, unknown>[] };
    expect(after.breakers.find(({ platform }) => platform === "android")).toMatchObject({
      nextProbeAt: null,
    });
    expect(after.breakers.find(({ platform }) => platform === "voice")).toMatchObject({ state: "closed" });
  });
});

test("metrics come in the text format of Prometheus", async () => {
  const response = await subject.get("/metrics");
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await response.text()).toContain("# TYPE health_check_total counter");
});

test("no answer has a time that is a number, or a key without its unit", async () => {
  const paths = [
    "plugins",
    "resources/current",
    "resources/history",
    "resources/summary",
    "resources/anomalies?sigma=1",
  ];
  for (const path of [...paths, "forecast", "health", "breakers", "scaling/status", "scaling/decisions"]) {
    const body = await subject.json(`/api/v1/${path}`);
    walk(body, (key, value) => {
      if (/(^at|At)$/.test(key) && value !== null)
        expect([path, key, new Date(String(value)).toISOString()]).toEqual([path, key, value as string]);
      if (typeof value !== "number") return;
      // A time since the epoch in milliseconds or seconds would be over a billion; only bytes may be.
      expect([path, key, value < 1e9 || /bytes/i.test(key) || keysOf(body).includes("trends")]).toEqual([
        path,
        key,
        true,
      ]);
    });
  }
});
