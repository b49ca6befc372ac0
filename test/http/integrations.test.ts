import { afterEach, beforeEach, expect, test } from "bun:test";
import type { IntegrationMetricsRow } from "../../src/storage/integration-metrics.ts";
import { problemOf, type Served, served, startMs } from "./served.ts";

let subject: Served;

beforeEach(async () => {
  subject = await served();
});
afterEach(() => subject.end());

const base = "/api/v1/integrations";
const minuteMs = 60_000;

const row = (minutesAgo: number, platformName: string): IntegrationMetricsRow => ({
  timestampMs: startMs - minutesAgo * minuteMs,
  platformName,
  responseTimeMs: 12.5,
  errorCount: 1,
  requestCount: 20,
  resourceUsageBytes: 2 ** 20,
});

const insert = (...rows: IntegrationMetricsRow[]) =>
  expect(subject.storage.integrationMetrics.insert(rows)).toBe(true);

const listed = async (query = "") => {
  const { integrations } = (await subject.json(`${base}${query}`)) as {
    integrations: { at: string; platform: string }[];
  };
  return integrations.map(({ at, platform }) => `${platform} ${(startMs - Date.parse(at)) / minuteMs}`);
};

test("a minute of a platform is told with its units, and what was not measured is null", async () => {
  insert({ ...row(1, "voice"), responseTimeMs: null, resourceUsageBytes: null }, row(2, "voice"));
  expect(await subject.json(base)).toEqual({
    sinceAt: "2025-12-31T23:00:00.000Z",
    integrations: [
      {
        at: "2025-12-31T23:59:00.000Z",
        platform: "voice",
        averageResponseTimeMs: null,
        requestCount: 20,
        errorCount: 1,
        resourceUsageBytes: null,
      },
      {
        at: "2025-12-31T23:58:00.000Z",
        platform: "voice",
        averageResponseTimeMs: 12.5,
        requestCount: 20,
        errorCount: 1,
        resourceUsageBytes: 1_048_576,
      },
    ],
  });
});

test("the newest come first, of one platform or of all, from the last hour or since a time", async () => {
  insert(...[1, 2, 90].flatMap((ago) => [row(ago, "voice"), row(ago, "android")]));
  expect(await listed()).toEqual(["android 1", "voice 1", "android 2", "voice 2"]);
  expect(await listed("?platform=voice")).toEqual(["voice 1", "voice 2"]);
  expect(await listed("?platform=voice&since=2025-12-31T22:00:00Z")).toEqual([
    "voice 1",
    "voice 2",
    "voice 90",
  ]);
  expect(await listed("?since=2026-01-01T00:59:00%2B01:00")).toEqual(["android 1", "voice 1"]);
  expect(await listed("?platform=nobody")).toEqual([]);
});

test("a limit keeps the newest of all platforms together, whichever is read first", async () => {
  insert(...[5, 6, 7].map((ago) => row(ago, "android")), row(6, "stubs"), row(1, "voice"), row(8, "voice"));
  expect(await listed("?limit=1")).toEqual(["voice 1"]);
  expect(await listed("?limit=4")).toEqual(["voice 1", "android 5", "android 6", "stubs 6"]);
  expect(await listed("?limit=1000")).toHaveLength(6);
});

test.each([
  ["?limit=0", "limit"],
  ["?limit=1001", "limit"],
  ["?since=yesterday", "since"],
  ["?platform=", "platform"],
  ["?plattform=voice", "plattform"],
])("%s is refused, and named", async (query, named) => {
  const response = await subject.get(`${base}${query}`);
  expect(response.status).toBe(400);
  const problem = await problemOf(response);
  expect(problem).toMatchObject({ code: "query_invalid", detail: expect.stringContaining(named) });
});
