/** Whatever is sent: an answer below 500 (503 aside), and every error a problem document. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { type Served, served } from "./served.ts";

let subject: Served;

beforeAll(async () => {
  subject = await served();
});
afterAll(() => subject.end());

const known = [
  "/healthz",
  "/readyz",
  "/metrics",
  "/api/v1/requests",
  "/api/v1/plugins",
  "/api/v1/plugins/voice",
  "/api/v1/plugins/broken/restart",
  "/api/v1/plugins/voice/disable",
  "/api/v1/resources/current",
  "/api/v1/resources/history",
  "/api/v1/resources/anomalies",
  "/api/v1/forecast",
  "/api/v1/scaling/status",
  "/api/v1/scaling/decisions",
  "/api/v1/scaling/decisions/1",
  "/api/v1/scaling/evaluate",
  "/api/v1/health",
];

const segment = fc.oneof(
  fc.constantFrom(
    "..",
    "%",
    "%2e",
    "%00",
    "%E0%A4%A",
    "%ff",
    "voice",
    "broken",
    "__proto__",
    "constructor",
    "1",
    "*",
    ":name",
  ),
  fc.string({ maxLength: 12 }).map((text) => encodeURIComponent(text.toWellFormed())),
);
const path = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...known) },
  fc.tuple(fc.constantFrom(...known), segment).map(([base, last]) => `${base}/${last}`),
  fc.array(segment, { maxLength: 5 }).map((parts) => `/${parts.join("/")}`),
);
const key = fc.oneof(
  fc.constantFrom("limit", "before", "plugin", "sigma", "__proto__", "toString"),
  fc.string({ maxLength: 8 }),
);
const word = fc.oneof(
  fc.constantFrom("0", "-1", "1e999", "NaN", "9007199254740993", "null", "", "voice", "%", "\u0000"),
  fc.string({ maxLength: 20 }),
);
const query = fc
  .array(fc.tuple(key, word), { maxLength: 3 })
  .map((pairs) =>
    pairs
      .map(
        ([name, value]) =>
          `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`,
      )
      .join("&"),
  );

const body = fc.oneof(
  fc.constant(undefined),
  fc.string({ maxLength: 200 }),
  fc.json(),
  fc
    .record(
      {
        platform: fc.oneof(
          fc.constantFrom("voice", "nobody", "__proto__", "constructor"),
          fc.string({ maxLength: 70 }),
          fc.jsonValue(),
        ),
        payload: fc.jsonValue(),
        type: fc.oneof(fc.string({ maxLength: 140 }), fc.jsonValue()),
        deadlineMs: fc.oneof(fc.integer(), fc.double(), fc.jsonValue()),
        usedRatio: fc.oneof(fc.double(), fc.jsonValue()),
        smoothedForecastRatio: fc.double({ min: 0, max: 10, noNaN: true }),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
  fc
    .tuple(fc.double(), fc.double())
    .map(([usedRatio, upperForecastRatio]) => JSON.stringify({ usedRatio, upperForecastRatio })),
);

const printable = fc.string({ maxLength: 30 }).map((text) => text.replaceAll(/[^\x21-\x7e]/g, "x"));
const headers = fc.record(
  {
    "Content-Type": fc.oneof({ weight: 4, arbitrary: fc.constant("application/json") }, printable),
    Authorization: fc.oneof(fc.constant("Bearer the-token-of-this-test-0123456789abcdef"), printable),
    Origin: printable,
    Accept: printable,
  },
  { requiredKeys: ["Content-Type"] },
);
const method = fc.constantFrom("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS");

test("no request yields a 500, or an error that is no problem document", async () => {
  const asked = fc.asyncProperty(path, query, method, headers, body, async (to, search, how, head, text) => {
    // Only some carry an Origin, or nothing but its refusal would be tried.
    const { Origin: origin, ...others } = head;
    const response = await subject.turning(
      fetch(subject.url(`${to}${search === "" ? "" : `?${search}`}`), {
        method: how,
        headers: { ...others, ...(origin !== undefined && origin.length > 20 ? { Origin: origin } : {}) },
        redirect: "manual",
        ...(how === "GET" || how === "HEAD" || text === undefined ? {} : { body: text }),
      }),
    );
    const answer = await response.text();
    expect([500, 501]).not.toContain(response.status);
    if (response.status < 400 || how === "HEAD") return;
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const problem = JSON.parse(answer) as Record<string, unknown>;
    expect(problem).toMatchObject({ type: "about:blank", status: response.status });
    for (const name of ["title", "detail", "code", "instance"]) expect(problem[name]).toBeString();
    expect(problem.code).toMatch(/^[a-z_]+$/);
  });
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`fuzz seed ${seed}`);
  subject.scaler.onReading({ usedBytes: 500 * 2 ** 20, budgetBytes: 1_000 * 2 ** 20 });
  await fc.assert(asked, { seed, numRuns: 1_000, interruptAfterTimeLimit: 20_000 });
  expect(subject.lines.filter(({ event }) => event === "http.failed")).toEqual([]);
}, 40_000);
