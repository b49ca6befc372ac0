import { expect, test } from "bun:test";
import type { Outcome } from "../../src/routing/outcome.ts";
import { RouteStatistics } from "../../src/routing/statistics.ts";

const base = { requestId: "r", platform: "voice", attempts: [] };
const answered = (durationMs: number, degraded = false, platform = "voice"): Outcome => ({
  ...base,
  kind: "answered",
  platform,
  plugin: degraded ? "stubs" : platform,
  result: null,
  degraded,
  durationMs,
});
const refused = (status: number, durationMs: number): Outcome => ({
  ...base,
  kind: "refused",
  status,
  code: "x",
  title: "x",
  detail: "x",
  durationMs,
});

test("counts requests, errors and times; a fallback's answer is an error of the platform", () => {
  const statistics = new RouteStatistics();
  const outcomes = [
    answered(10),
    answered(20),
    answered(40, true),
    refused(502, 2),
    refused(404, 99),
    refused(499, 99),
  ];
  for (const outcome of outcomes) statistics.routed(outcome);
  expect(statistics.drain()).toEqual([
    { platform: "voice", requestCount: 4, errorCount: 2, averageResponseTimeMs: 18, maxResponseTimeMs: 40 },
  ]);
  expect(statistics.drain()).toEqual([]);
});

test("a drain begins the next period from nothing", () => {
  const statistics = new RouteStatistics();
  statistics.routed(answered(500));
  statistics.drain();
  statistics.routed(answered(4));
  expect(statistics.drain()).toMatchObject([{ requestCount: 1, errorCount: 0, maxResponseTimeMs: 4 }]);
});

test("no request is lost and no more than 257 rows are kept, whatever the platforms are called", () => {
  const statistics = new RouteStatistics();
  for (let i = 0; i < 5_000; i++) statistics.routed(answered(1, false, `p${i}`));
  const rows = statistics.drain();
  expect(rows).toHaveLength(257);
  expect(rows.reduce((sum, row) => sum + row.requestCount, 0)).toBe(5_000);
  expect(rows.at(-1)).toMatchObject({ platform: "other", requestCount: 5_000 - 256 });
});
