import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { problemOf, type Served, served } from "./served.ts";

let subject: Served;

beforeEach(async () => {
  subject = await served({ config: { deadLetters: { onFailure: { discord: "park" } } } });
  subject.dispatcher.set("stubs", { state: "disabled", reason: "by hand" });
  for (const name of ["voice", "discord"])
    subject.dispatcher.set(name, { state: "shed", reason: "no memory" });
});
afterEach(() => subject.end());

const base = "/api/v1/dead-letters";
const body = (over: object = {}) => ({
  platform: "voice",
  payload: { text: "hi" },
  onFailure: "park",
  ...over,
});
const request = (over: object = {}, headers: Record<string, string> = {}) =>
  subject.turning(subject.post("/api/v1/requests", body(over), headers));
const order = (path: string, sent: unknown = {}) =>
  subject.turning(subject.post(`${base}${path}`, sent, subject.administrator));
const remove = (path: string, headers: Record<string, string> = subject.administrator) =>
  fetch(subject.url(`${base}${path}`), { method: "DELETE", headers });

interface Listed {
  deadLetters: { id: number; state: string }[];
  counts: Record<string, number>;
  next: string | null;
}
const listed = async (query = "") => (await (await subject.get(`${base}${query}`)).json()) as Listed;

describe("a request that is parked", () => {
  test("is 202 with its number, where to look, and until when", async () => {
    const response = await request(
      {},
      { traceparent: "00-ab-cd-01", authorization: "Bearer secret", cookie: "s=1" },
    );
    expect(response.status).toBe(202);
    expect(response.headers.get("location")).toBe(`${base}/1`);
    expect(await response.json()).toMatchObject({
      requestId: "request-1",
      platform: "voice",
      parked: true,
      reason: "voice is shed: no memory",
      deadLetter: {
        id: 1,
        kind: "shed",
        expiresAt: expect.stringMatching(/^2026-01-02T00:00:/),
        durable: false,
      },
      location: `${base}/1`,
    });
    const letter = (await subject.json(`${base}/1`)) as Record<string, unknown>;
    expect(letter).toMatchObject({
      id: 1,
      state: "waiting",
      stateReason: null,
      payload: { text: "hi" },
      type: "message",
      headers: { traceparent: "00-ab-cd-01" },
      attempts: [
        { at: expect.stringMatching(/^2026-/), plugin: "voice", outcome: "shed" },
        { plugin: "stubs", outcome: "disabled", error: "stubs is disabled: by hand" },
      ],
      result: null,
    });
    expect(JSON.stringify(letter)).not.toContain("secret");
    expect(JSON.stringify(letter)).not.toContain("s=1");
  });

  test("only where it is asked for: by the request, else by the configuration", async () => {
    expect((await request({ onFailure: undefined })).status).toBe(503);
    expect((await request({ onFailure: undefined, platform: "discord" })).status).toBe(202);
    expect((await request({ onFailure: "refuse", platform: "discord" })).status).toBe(503);
    const wrong = await problemOf(await request({ onFailure: "drop" }));
    expect(wrong).toMatchObject({ status: 400, errors: [expect.stringContaining("onFailure")] });
  });

  test("is refused, not 202, when the database takes nothing", async () => {
    const { deadLetters } = subject.storage;
    deadLetters.park = () => ({
      id: null,
      problem: { code: "STORAGE_DISK_FULL", message: "the disk is full" },
    });
    expect(await problemOf(await request())).toMatchObject({
      status: 503,
      code: "plugin_shed",
      detail: "voice is shed: no memory; it could not be kept either: the disk is full",
    });
  });
});

describe("an idempotency key", () => {
  test("in the header or the body gives the same answer again, and says so", async () => {
    subject.dispatcher.set("voice", { state: "ready" });
    const first = await request({}, { "Idempotency-Key": "key-1" });
    const again = await request({ idempotencyKey: "key-1" });
    expect([first.status, again.status]).toEqual([200, 200]);
    expect([first, again].map(({ headers }) => headers.get("idempotency-replayed"))).toEqual([null, "true"]);
    expect(await again.json()).toEqual(await first.json());
    expect(subject.dispatcher.calls).toHaveLength(1);
    expect(await problemOf(await request({ payload: 2 }, { "Idempotency-Key": "key-1" }))).toMatchObject({
      status: 422,
      code: "idempotency_key_reused",
    });
  });

  test("that is none, differs from the other one, or comes with stream: true is 400", async () => {
    for (const [over, headers] of [
      [{}, { "Idempotency-Key": "a b" }],
      [{}, { "Idempotency-Key": "x".repeat(201) }],
      [{ idempotencyKey: "a" }, { "Idempotency-Key": "b" }],
      [{ idempotencyKey: "" }, {}],
      [{ idempotencyKey: "a\u0000" }, {}],
      [{ idempotencyKey: "a", stream: true }, {}],
    ] as const)
      expect(await problemOf(await request(over, headers))).toMatchObject({
        status: 400,
        code: "body_invalid",
      });
  });

  test("of a parked request leads to one dead letter", async () => {
    const [first, second] = [await request({ idempotencyKey: "k" }), await request({ idempotencyKey: "k" })];
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.headers.get("location")).toBe(first.headers.get("location"));
    expect((await listed()).deadLetters).toHaveLength(1);
  });
});

describe("the list", () => {
  test("is filtered and paged, the newest first, without payloads", async () => {
    for (const platform of ["voice", "discord", "voice"]) await request({ platform });
    const all = await listed();
    expect(all.deadLetters.map(({ id }) => id)).toEqual([3, 2, 1]);
    expect(all).toMatchObject({ counts: { waiting: 3, answered: 0 }, heldForAPerson: 0, durable: false });
    expect(JSON.stringify(all)).not.toContain('"hi"');
    const page = await listed("?platform=voice&limit=1");
    expect(page.next).toBe(`${base}?before=3&platform=voice&limit=1`);
    expect((await listed(page.next?.slice(base.length))).deadLetters.map(({ id }) => id)).toEqual([1]);
    expect((await listed("?state=poison")).deadLetters).toEqual([]);
    expect((await listed("?since=2026-01-01T00:00:00Z&kind=shed")).deadLetters).toHaveLength(3);
    expect((await listed("?since=2027-01-01T00:00:00%2B01:00")).deadLetters).toEqual([]);
    for (const query of ["?state=gone", "?kind=x", "?since=today", "?limit=0", "?what=1", "?platform="])
      expect(await problemOf(await subject.get(base + query))).toMatchObject({ code: "query_invalid" });
  });

  test("of what there is not is 404", async () => {
    for (const id of ["7", "x", "1;DROP", "%00", "99999999999999999"])
      expect(await problemOf(await subject.get(`${base}/${id}`))).toMatchObject({
        code: "dead_letter_unknown",
      });
  });
});

describe("orders", () => {
  test("need the token, and so does the export", async () => {
    await request();
    const bare = [
      await subject.post(`${base}/1/redrive`, {}),
      await subject.post(`${base}/redrive`, { all: true }),
      await subject.post(`${base}/discard`, { all: true }),
      await remove("/1", {}),
      await subject.get(`${base}/export`),
    ];
    expect(bare.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401]);
    expect((await listed()).counts.waiting).toBe(1);
  });

  test("redrive sends one now and tells what came of it, or why it was not sent", async () => {
    await request();
    expect(await problemOf(await order("/1/redrive"))).toMatchObject({
      status: 503,
      code: "dead_letter_not_ready",
      detail: "voice is shed: no memory",
    });
    subject.dispatcher.set("voice", { state: "ready" });
    const answered = await order("/1/redrive");
    expect(answered.status).toBe(200);
    expect(await answered.json()).toMatchObject({
      outcome: "answered",
      deadLetter: { id: 1, state: "answered", result: "fine", redrives: 1 },
    });
    expect(await problemOf(await order("/1/redrive"))).toMatchObject({ code: "dead_letter_not_open" });
    expect(await problemOf(await order("/9/redrive"))).toMatchObject({ code: "dead_letter_unknown" });
  });

  test("redrive of many needs a choice, and they are sent in their turn", async () => {
    for (const platform of ["voice", "discord", "voice"]) await request({ platform });
    for (const sent of [{}, { platform: "" }, { all: false }, { everything: true }])
      expect(await problemOf(await order("/redrive", sent))).toMatchObject({ code: "body_invalid" });
    subject.dispatcher.set("voice", { state: "ready" });
    const released = await order("/redrive", { platform: "voice" });
    expect([released.status, await released.json()]).toEqual([202, { released: 2 }]);
    await subject.clock.advance(1_000);
    expect((await listed()).deadLetters.map(({ state }) => state)).toEqual([
      "answered",
      "waiting",
      "answered",
    ]);
  });

  test("discard gives up one or many; what is over is left alone", async () => {
    for (const platform of ["voice", "discord", "discord"]) await request({ platform });
    expect(await (await remove("/1")).json()).toMatchObject({ id: 1, state: "discarded" });
    expect(await problemOf(await remove("/1"))).toMatchObject({ status: 409, code: "dead_letter_not_open" });
    expect(await problemOf(await remove("/9"))).toMatchObject({ status: 404 });
    const many = await order("/discard", { platform: "discord", kind: "shed" });
    expect(await many.json()).toEqual({ discarded: 2 });
    expect((await listed()).counts).toMatchObject({ waiting: 0, discarded: 3 });
  });

  test("export gives every letter as a line, oldest first, whatever stands in it", async () => {
    for (let n = 0; n < 20; n++) await request({ payload: `line\n${n}\u2028` });
    const response = await subject.get(`${base}/export?platform=voice`, subject.administrator);
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = (await response.text()).trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { payload: string }).payload)).toEqual(
      Array.from({ length: 20 }, (_, n) => `line\n${n}\u2028`),
    );
  });
});
