import { afterAll, beforeAll, expect, test } from "bun:test";
import { problemOf, type Served, served } from "./served.ts";

let subject: Served;

beforeAll(async () => {
  subject = await served();
});
afterAll(() => subject.end());

const gets = [
  "/healthz",
  "/readyz",
  "/metrics",
  "/api/v1/plugins",
  "/api/v1/plugins/voice",
  "/api/v1/resources/current",
  "/api/v1/resources/history",
  "/api/v1/resources/trends",
  "/api/v1/resources/anomalies",
  "/api/v1/resources/summary",
  "/api/v1/forecast",
  "/api/v1/scaling/status",
  "/api/v1/scaling/decisions",
  "/api/v1/scaling/decisions/1",
  "/api/v1/models",
  "/api/v1/dead-letters",
  "/api/v1/health",
  "/api/v1/breakers",
  "/api/v1/breakers/voice",
];
const posts = [
  "/api/v1/requests",
  "/api/v1/models/large/load",
  "/api/v1/scaling/evaluate",
  "/api/v1/plugins/voice/enable",
  "/api/v1/breakers/voice/open",
  "/api/v1/dead-letters/1/redrive",
];

test("a wrong method is 405 and says which ones are right", async () => {
  const wrong = (methods: string[], allow: string) => methods.map((method) => ({ method, allow }));
  const table = [
    ...gets.flatMap((path) =>
      wrong(["POST", "PUT", "DELETE", "PATCH", "OPTIONS"], "GET, HEAD").map((row) => ({ path, ...row })),
    ),
    ...posts.flatMap((path) =>
      wrong(["GET", "PUT", "DELETE", "HEAD", "OPTIONS"], "POST").map((row) => ({ path, ...row })),
    ),
  ];
  for (const { path, method, allow } of table) {
    const response = await fetch(subject.url(path), { method });
    expect([method, path, response.status, response.headers.get("allow")]).toEqual([
      method,
      path,
      405,
      allow,
    ]);
    if (method !== "HEAD")
      expect(await problemOf(response)).toMatchObject({ code: "method_not_allowed", instance: path });
  }
});

test("what is not there is 404 under every method", async () => {
  const paths = [
    "/",
    "/api",
    "/api/v1",
    "/api/v1/plugin",
    "/api/v1/plugins/",
    "/api/v1/plugins/voice/fly",

    "/HEALTHZ",
  ];
  for (const path of [
    ...paths,
    "/api/v1/plugins/voice/enable/now",
    "/api/v2/plugins",
    "/healthz/",
    "/%68ealth%7A%2F",
  ])
    for (const method of ["GET", "POST", "DELETE"]) {
      const problem = await problemOf(await fetch(subject.url(path), { method }));
      expect([method, path, problem.code]).toEqual([method, path, "path_unknown"]);
    }
});
