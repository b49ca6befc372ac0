/** The setting `webhooks`: its defaults, and what is refused. */

import { expect, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";

const url = "https://example.org/hook";
const problemsOf = (...webhooks: object[]): string[] => {
  const parsed = configSchema.safeParse({ webhooks });
  return parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
};

test("a webhook with nothing but its URL is told of everything, tries 6 times, and is named by its place", () => {
  expect(configSchema.parse({}).webhooks).toEqual([]);
  expect(configSchema.parse({ webhooks: [{ url }, { url, name: "ops" }, { url }] }).webhooks).toMatchObject([
    {
      name: "webhook-1",
      url,
      events: ["*"],
      timeout: 10_000,
      attempts: 6,
      backoff: { initial: 1_000, max: 300_000 },
    },
    { name: "ops" },
    { name: "webhook-3" },
  ]);
});

test.each([
  [
    { url: "ftp://example.org" },
    "0.url: expected a URL that begins with http:// or https://, without a user",
  ],
  [
    { url: "https://me:pw@example.org" },
    "0.url: expected a URL that begins with http:// or https://, without",
  ],
  [{ url: "example.org" }, "0.url: expected a URL that begins with http:// or https://"],
  [{ url, events: ["helth.*"] }, '0.events.0: no event matches "helth.*"; did you mean "health.*"?'],
  [{ url, events: ["plugin.log"] }, "0.events.0: webhooks are not told the log lines of plugins"],
  [{ url, events: [] }, "0.events: "],
  [{ url, secret: "my secret" }, "0.secret: expected the name of an environment variable"],
  [{ url, secret: "CONDUCTOR_KEY" }, "0.secret: expected a name that does not begin with CONDUCTOR_"],
  [{ url, timeout: "2m" }, "0.timeout: expected 10ms to 1m"],
  [{ url, attempts: 0 }, "0.attempts: expected a whole number from 1 to 20"],
])("%j is refused", (webhook, problem) => {
  expect(problemsOf(webhook)[0]).toStartWith(`webhooks.${problem}`);
});

test("two of one name are refused, and so are more than 16", () => {
  expect(problemsOf({ url, name: "ops" }, { url, name: "ops" })).toEqual([
    'webhooks.1.name: "ops" stands twice',
  ]);
  expect(problemsOf({ url, name: "webhook-2" }, { url })).toEqual([
    'webhooks.1.name: "webhook-2" stands twice',
  ]);
  expect(problemsOf(...Array.from({ length: 17 }, () => ({ url })))).toHaveLength(1);
});
