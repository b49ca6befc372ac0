import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mostLevels } from "../../src/http/nesting.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { problemOf, type Served, served } from "./served.ts";

let subject: Served;

beforeAll(async () => {
  subject = await served({ config: { http: { maxBody: "1MiB" } } });
});
afterAll(() => subject.end());

/** Sends a body as it stands, while the clock turns for the plugins. */
const send = (body: string, headers: Record<string, string> = {}) =>
  subject.turning(subject.post("/api/v1/requests", body, headers));

const refusal = async (body: string, headers: Record<string, string> = {}) =>
  problemOf(await send(body, headers));

/** The payload that the plugin was handed last. */
const handed = () => subject.dispatcher.calls.at(-1)?.request.payload;

describe("a request", () => {
  test("is answered with what the plugin said and who it was", async () => {
    const response = await send('{"platform": "voice", "type": "say", "payload": {"text": "hi"}}');
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    const body = (await response.json()) as Record<string, unknown>;
    expect(body).toMatchObject({
      requestId: "request-1",
      platform: "voice",
      plugin: "voice",
      result: "fine",
      degraded: false,
      attempts: [{ plugin: "voice", outcome: "answered" }],
    });
    expect(body.durationMs).toBeNumber();
    expect(subject.dispatcher.calls.at(-1)?.request).toMatchObject({ type: "say", payload: { text: "hi" } });
  });

  test("takes any JSON as its payload, and hands it on as it is", async () => {
    const payloads = [
      "null",
      "0",
      "-0.5e-3",
      '""',
      '"\\ud83d\\ude00"',
      "[]",
      "{}",
      "[[[]]]",
      '{"":{" ":null}}',
      "1e308",
    ];
    for (const payload of payloads) {
      expect([payload, (await send(`{"platform":"voice","payload":${payload}}`)).status]).toEqual([
        payload,
        200,
      ]);
      expect(handed()).toEqual(JSON.parse(payload) as Json);
    }
  });

  test("with a __proto__ keeps it as data and changes no prototype", async () => {
    await send(
      '{"platform":"voice","payload":{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}}}}',
    );
    expect(JSON.stringify(handed())).toBe(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}}}',
    );
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    const named = await refusal('{"__proto__":{"platform":"voice"},"platform":"voice","payload":1}');
    expect(named).toMatchObject({
      code: "body_invalid",
      errors: [expect.stringContaining("__proto__: unknown key")],
    });
  });

  test("with a key twice means the last one", async () => {
    await send('{"platform":"nobody","platform":"voice","payload":1,"payload":2}');
    expect(handed()).toBe(2);
  });

  test("may hold half a surrogate pair, and bytes that are no UTF-8", async () => {
    expect((await send('{"platform":"voice","payload":"\\ud800"}')).status).toBe(200);
    expect(handed()).toBe("\ud800");
    const invalid = Buffer.concat([
      Buffer.from('{"platform":"voice","payload":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    const response = await subject.turning(
      fetch(subject.url("/api/v1/requests"), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: invalid,
      }),
    );
    expect(response.status).toBe(200);
    expect(handed()).toBe("\ufffd");
  });

  test("takes JSON under any name of it", async () => {
    const types = [
      "application/json",
      "application/json; charset=utf-8",
      "APPLICATION/JSON",
      "application/vnd.x+json",
    ];
    for (const type of types)
      expect([
        type,
        (await send('{"platform":"voice","payload":1}', { "Content-Type": type })).status,
      ]).toEqual([type, 200]);
  });
});

describe("a wrong request", () => {
  test("that is not called JSON is 415, also with a type that a page may send", async () => {
    const types = [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "",
      "application/jsonp",
    ];
    for (const type of types)
      expect([
        type,
        await refusal('{"platform":"voice","payload":1}', { "Content-Type": type }),
      ]).toMatchObject([type, { status: 415, code: "not_json" }]);
  });

  test("that is no JSON is 400", async () => {
    for (const body of [
      "",
      " ",
      "{",
      "nul",
      "{'a':1}",
      '{"a":1}}',
      "\u0000",
      '{"platform":"voice","payload":NaN}',
    ])
      expect([body, await refusal(body)]).toMatchObject([body, { status: 400, code: "body_malformed" }]);
  });

  test("that is JSON of another shape is 400 and names each field", async () => {
    const table: [string, RegExp[]][] = [
      ["null", [/a mapping/]],
      ["[]", [/a mapping/]],
      ['"voice"', [/a mapping/]],
      ["{}", [/platform/, /payload: nothing: expected any JSON/]],
      ['{"platform":"voice"}', [/payload/]],
      ['{"platform":"","payload":1}', [/platform: "": expected at least 1 character/]],
      [`{"platform":"${"x".repeat(65)}","payload":1}`, [/platform: .*expected at most 64/]],
      ['{"platform":7,"payload":1}', [/platform: 7: expected a text/]],
      ['{"platform":"voice","payload":1,"type":null}', [/type: null: expected a text/]],
      ['{"platform":"voice","payload":1,"deadlineMs":0}', [/deadlineMs: 0: expected at least 1/]],
      ['{"platform":"voice","payload":1,"deadlineMs":1.5}', [/deadlineMs: 1.5/]],
      ['{"platform":"voice","payload":1,"deadlineMs":1e400}', [/deadlineMs/]],
      ['{"platform":"voice","payload":1,"deadlineMs":"5"}', [/deadlineMs: "5": expected a number/]],
      [
        '{"platform":"voice","payload":1,"deadlineMs":600001}',
        [/deadlineMs: 600001: expected at most 600000/],
      ],
      ['{"plattform":"voice","payload":1}', [/platform/, /did you mean "platform"/]],
    ];
    for (const [body, expected] of table) {
      const problem = await refusal(body);
      expect([body, problem.status, problem.code]).toEqual([body, 400, "body_invalid"]);
      for (const each of expected)
        expect([body, (problem.errors as string[]).join("\n")]).toEqual([body, expect.stringMatching(each)]);
    }
  });

  test("names the first wrong keys only, however many there are", async () => {
    const keys = Array.from({ length: 50_000 }, (_, i) => `"k${i}":1`);
    const beginMs = performance.now();
    const problem = await refusal(`{${keys.join(",")},"${"x".repeat(100_000)}":1}`);
    expect((problem.errors as string[]).length).toBeLessThan(30);
    expect(JSON.stringify(problem).length).toBeLessThan(8_000);
    expect(performance.now() - beginMs).toBeLessThan(2_000);
  });

  test("that is nested too deep is 400, wherever and however deep", async () => {
    const nested = (levels: number, open: string, close: string) =>
      open.repeat(levels) + close.repeat(levels);
    const within = mostLevels - 1;
    expect((await send(`{"platform":"voice","payload":${nested(within, "[", "]")}}`)).status).toBe(200);
    for (const levels of [mostLevels, 10_000, 100_000]) {
      const bodies = [
        `{"platform":"voice","payload":${nested(levels, "[", "]")}}`,
        `{"platform":"voice","payload":${'{"a":'.repeat(levels)}1${"}".repeat(levels)}}`,
        `{"platform":"voice","payload":1,"more":${nested(levels, "[", "]")}}`,
        `{"platform":${nested(levels, "[", "]")},"payload":1}`,
        nested(levels + 1, "[", "]"),
      ];
      for (const body of bodies)
        expect(await refusal(body)).toMatchObject({ status: 400, code: "body_too_deep" });
    }
    expect((await send('{"platform":"voice","payload":1}')).status).toBe(200);
  });

  test("that is too large is 413, and one that just fits is not", async () => {
    const padded = (bytes: number) => {
      const rest = '{"platform":"voice","payload":""}';
      return rest.replace('""', `"${"x".repeat(bytes - rest.length)}"`);
    };
    expect((await send(padded(2 ** 20))).status).toBe(200);
    for (const bytes of [2 ** 20 + 1, 2 ** 21 + 1, 5 * 2 ** 20])
      expect(await refusal(padded(bytes))).toMatchObject({ status: 413, code: "body_too_large" });
  });

  test("to an unknown platform is 404 with the known ones, and is counted under one label", async () => {
    for (let i = 0; i < 100; i++) await refusal(`{"platform":"p${i}","payload":1}`);
    const problem = await refusal('{"platform":"nobody\\n","payload":1}');
    expect(problem).toMatchObject({
      status: 404,
      code: "unknown_platform",
      known: ["android", "discord", "stubs", "voice"],
      requestId: "request-1",
    });
    const text = await (await subject.get("/metrics")).text();
    const platforms = [...text.matchAll(/^conductor_requests_total\{platform="([^"]*)"/gm)].map(
      ([, platform]) => platform,
    );
    expect([...new Set(platforms)].sort()).toEqual(["unknown", "voice"]);
  });
});

describe("overload and failure", () => {
  test("say how long to wait and what is in the way", async () => {
    const table = [
      { state: "shed", code: "plugin_shed", blocked_by: "memory", retryAfter: "30" },
      { state: "starting", code: "plugin_starting", blocked_by: "plugin-state", retryAfter: "1" },
      { state: "disabled", code: "plugin_disabled", blocked_by: "plugin-state", retryAfter: null },
    ] as const;
    subject.dispatcher.set("stubs", { state: "failed" });
    for (const { state, code, blocked_by, retryAfter } of table) {
      subject.dispatcher.set("discord", { state });
      const response = await send('{"platform":"discord","payload":1}');
      expect([state, response.headers.get("retry-after")]).toEqual([state, retryAfter]);
      expect(await problemOf(response)).toMatchObject({ status: 503, code, blocked_by, platform: "discord" });
    }
    subject.dispatcher.set("discord", { state: "ready" });
    subject.dispatcher.set("stubs", { state: "ready" });
  });

  test("busy is 429 with Retry-After, a handler's error 502, silence 504", async () => {
    const answers = [
      { kind: "overload", status: 429, retryAfter: "1" },
      { kind: "plugin-error", status: 502, retryAfter: null },
      { kind: "timeout", status: 504, retryAfter: null },
      { kind: "crash", status: 503, retryAfter: "1" },
    ] as const;
    subject.dispatcher.set("stubs", { state: "failed" });
    for (const { kind, status, retryAfter } of answers) {
      subject.dispatcher.behaviour.set("android", {
        afterMs: 1,
        answer: { ok: false, kind, message: "as told" },
      });
      const response = await send('{"platform":"android","payload":1}');
      expect([kind, response.headers.get("retry-after")]).toEqual([kind, retryAfter]);
      expect(await problemOf(response)).toMatchObject({ status, requestId: "request-1" });
      subject.breakers.close("android", "the next one");
    }
    subject.dispatcher.behaviour.clear();
    subject.dispatcher.set("stubs", { state: "ready" });
  });

  test("a plugin that is down is answered for by the fallback, and that is said", async () => {
    subject.dispatcher.set("voice", { state: "shed", reason: "memory is short" });
    const body = await (await send('{"platform":"voice","payload":1}')).json();
    expect(body).toMatchObject({ platform: "voice", plugin: "stubs", degraded: true, fallbackFor: "voice" });
    subject.dispatcher.set("voice", { state: "ready" });
  });
});
