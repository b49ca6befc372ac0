/** What webhooks did not take, over HTTP: the list, and the orders of an administrator. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { problemOf, type Served, served } from "./served.ts";

let subject: Served;
const base = "/api/v1/webhooks";

beforeEach(async () => {
  subject = await served();
  const { webhookLetters } = subject.storage;
  const event = { name: "monitor.gap", at: "2026-01-01T00:00:00.000Z", data: { source: "disk" } };
  webhookLetters.keep(
    [1, 2, 3].map((number) => ({
      atMs: Date.UTC(2026, 0, 1),
      webhook: "gone",
      eventId: `run-${number}`,
      eventName: event.name,
      body: JSON.stringify({ id: `run-${number}`, ...event }),
      reason: "HTTP 500, after 6 attempts",
      attempts: 6,
    })),
  );
  for (let number = 0; number < 5; number++) webhookLetters.failed(2, "HTTP 400", true, 5);
});
afterEach(() => subject.end());

const redrive = (body: unknown, headers = subject.administrator) =>
  subject.turning(subject.post(`${base}/dead-letters/redrive`, body, headers));
const remove = (id: string) =>
  fetch(subject.url(`${base}/dead-letters/${id}`), { method: "DELETE", headers: subject.administrator });

test("they are listed, the newest first, with what is kept and whether it lasts", async () => {
  const answer = (await subject.json(base)) as { undelivered: { id: number }[] };
  expect(answer).toMatchObject({
    webhooks: [],
    kept: { count: 3, maxCount: 1_000, maxBytes: 512 * 1_024 },
    durable: false,
  });
  expect(answer.undelivered.map(({ id }) => id)).toEqual([3, 2, 1]);
  expect(answer.undelivered[1] as object).toEqual({
    id: 2,
    at: "2026-01-01T00:00:00.000Z",
    webhook: "gone",
    reason: "HTTP 500, after 6 attempts",
    attempts: 6,
    state: "poison",
    redrives: 5,
    lastError: "HTTP 400",
    event: { id: "run-2", name: "monitor.gap", at: "2026-01-01T00:00:00.000Z", data: { source: "disk" } },
  });
  const page = (await subject.json(`${base}?limit=1`)) as { undelivered: { id: number }[] };
  expect(page.undelivered.map(({ id }) => id)).toEqual([3]);
  const problem = await problemOf(await subject.get(`${base}?limit=1001`));
  expect(problem).toMatchObject({ status: 400, code: "query_invalid" });
});

test("those of a webhook that is not configured are not released, and stay", async () => {
  for (const body of [{ all: true }, { ids: [1, 2] }, ""]) {
    const answer = await redrive(body);
    expect([answer.status, await answer.json()]).toEqual([202, { released: 0 }]);
  }
  expect(await subject.json(base)).toMatchObject({ kept: { count: 3 } });
});

test.each([{}, { ids: [] }, { ids: [0] }, { ids: ["1"] }, { all: false }, { all: true, ids: [1] }])(
  "the choice %j is refused",
  async (body) => {
    const problem = await problemOf(await redrive(body));
    expect(problem).toMatchObject({ status: 400, code: "body_invalid" });
    expect(problem.detail).toContain("{ids: [ID, …]}");
  },
);

test("one is discarded once, by an administrator; what is no number is unknown", async () => {
  const removed = await remove("2");
  expect([removed.status, await removed.json()]).toMatchObject([200, { id: 2, state: "poison" }]);
  for (const id of ["2", "99", "x", "1.5"])
    expect(await problemOf(await remove(id))).toMatchObject({ status: 404, code: "webhook_letter_unknown" });
  const stranger = await fetch(subject.url(`${base}/dead-letters/1`), { method: "DELETE" });
  expect(await problemOf(stranger)).toMatchObject({ status: 401, code: "token_required" });
  expect(await problemOf(await redrive({ all: true }, { Authorization: "" }))).toMatchObject({ status: 401 });
});
