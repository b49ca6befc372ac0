import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ModelServingHost, spoken } from "./model-serving.ts";
import { problemOf, served } from "./served.ts";

let host: ModelServingHost;
beforeEach(async () => {
  host = new ModelServingHost();
  await host.open();
  await host.run(1);
});
afterEach(() => host.end());

const base = "/api/v1/models";
const order = (path: string, method = "POST", headers = host.http.administrator) =>
  fetch(host.http.url(`${base}/${path}`), { method, headers });
const say = (content: string, headers: Record<string, string> = {}, more: object = {}) =>
  host.http.post(
    "/v1/chat/completions",
    { max_tokens: 2, messages: [{ role: "user", content }], ...more },
    headers,
  );
const asked = (server: "large" | "small") => host.servers[server].calls.at(-1)?.body.messages;
const MiB = 2 ** 20;

describe("the models", () => {
  test("are told with state, footprint, speed, and why one is not loaded", async () => {
    await say("hello");
    const view = await host.http.json(base);
    expect(view).toMatchObject({
      answering: "large",
      pinned: null,
      switches: 0,
      suggestions: [],
      models: [
        {
          name: "large",
          state: "ready",
          answering: true,
          quality: 100,
          contextTokens: 4_096,
          loadedContextTokens: 4_096,
          needBytes: 400 * MiB,
          missingBytes: 0,
          notLoadedBecause: null,
          answersMeasured: 1,
          failedRatio: null,
          loads: 1,
          loadedAt: "2026-01-01T00:00:00.000Z",
          putOffUntilAt: null,
        },
        {
          name: "small",
          state: "unloaded",
          answering: false,
          notLoadedBecause: "is not needed: large answers",
          loads: 0,
        },
      ],
    });
    expect(await host.http.json(`${base}/small`)).toMatchObject({ name: "small", needBytes: 100 * MiB });
    expect(host.answered).toMatchObject([
      { model: "large", finishReason: "length", cut: false, usage: { completionTokens: 2 } },
    ]);
  });

  test("after an emergency, with what to close so that the better one fits", async () => {
    host.othersMiB = 700;
    await host.run(15);
    expect(host.ready).toBe("small");
    host.othersMiB = 352;
    await host.run(1);
    const view = await host.http.json(base);
    // 352 + 400 of 1,000 are 2 over the line at 75 %; voice holds 5.
    expect(view).toMatchObject({
      answering: "small",
      switches: 2,
      models: [
        {
          missingBytes: 2 * MiB,
          notLoadedBecause: "is put off after what happened the last time",
          putOffUntilAt: "2026-01-01T00:05:01.000Z",
        },
        { answering: true },
      ],
      suggestions: [
        {
          kind: "close",
          model: "large",
          close: ["voice"],
          text: "close voice: frees 5.00 MiB, and large fits",
        },
      ],
    });
    host.processes = [
      { name: "firefox", kind: "process", bytes: 300 * MiB },
      { name: "code", kind: "process", bytes: 3 * MiB },
    ];
    expect(await host.http.json(base)).toMatchObject({ suggestions: [{ close: ["code"] }] });
  });

  test("are unloaded and loaded by who has the token", async () => {
    for (const [path, method] of [
      ["large/load", "POST"],
      ["large/unload", "POST"],
      ["large/pin", "POST"],
      ["large/pin", "DELETE"],
    ] as const)
      expect((await problemOf(await order(path, method, {} as never))).status).toBe(401);
    const unloaded = await order("large/unload");
    expect([unloaded.status, await unloaded.json()]).toMatchObject([
      202,
      { state: "unloading", unloadedByPerson: true },
    ]);
    await host.run(600);
    expect(host.ready).toBe("small");
    expect((await say("hello", {}, { model: "large" })).headers.get("x-conductor-instead-of")).toBe("large");
    expect((await order("large/load")).status).toBe(202);
    await host.manager.settled();
    expect(host.ready).toBe("large small");
    await host.run(600);
    expect(host.ready).toContain("large");
  });

  test("are not loaded where they do not fit, with who is in the way", async () => {
    host.othersMiB = 700;
    await host.run(15);
    const refused = await order("large/load");
    expect(refused.headers.get("retry-after")).toBe("30");
    expect(await problemOf(refused)).toMatchObject({
      status: 503,
      code: "memory_short",
      blocked_by: "memory",
      blockedBy: [{ name: "others", bytes: 800 * MiB }],
    });
    expect(host.ready).toBe("small");
  });

  test("a pinned one answers, whatever is better, until it is unpinned", async () => {
    expect((await order("small/pin")).status).toBe(202);
    await host.run(30);
    expect(host.ready).toBe("small");
    const answer = await say("hello");
    expect([answer.headers.get("x-conductor-model"), answer.headers.get("x-conductor-degraded")]).toEqual([
      "small",
      "false",
    ]);
    await host.run(600);
    expect(await host.http.json(base)).toMatchObject({
      pinned: "small",
      models: [{ notLoadedBecause: "is not wanted: small is pinned" }, { pinned: true }],
    });
    expect((await order("large/pin", "DELETE")).status).toBe(200);
    expect((await host.http.json(base)).pinned).toBe("small");
    expect((await order("small/pin", "DELETE")).status).toBe(200);
    await host.run(60);
    expect(host.ready).toBe("large");
  });

  test("that are not there are 404 with those that are", async () => {
    expect(await problemOf(await order("huge/load"))).toMatchObject({
      status: 404,
      code: "model_unknown",
      known: ["large", "small"],
    });
    const none = await served();
    expect(await none.json(base)).toMatchObject({ models: [], suggestions: [] });
    expect(await none.json("/v1/models")).toEqual({ object: "list", data: [] });
    const chat = await none.post("/v1/chat/completions", { messages: [{ role: "user", content: "x" }] });
    expect([chat.status, await chat.json()]).toMatchObject([404, { error: { code: "model_not_found" } }]);
    await none.end();
  });
});

describe("a conversation", () => {
  const named = { "X-Conversation-Id": "anna-1" };

  test("is carried to the smaller model, and back", async () => {
    const first = await say("one", named);
    expect(first.headers.get("x-conversation-id")).toBe("anna-1");
    const answer = ((await first.json()) as { choices: { message: object }[] }).choices[0]?.message as {
      content: string;
    };
    host.othersMiB = 700;
    await host.run(15);
    await say("two", named, { stream: true }).then((response) => response.text());
    expect(asked("small")).toEqual([
      { role: "user", content: "one" },
      { role: "assistant", content: answer.content },
      { role: "user", content: "two" },
    ]);
    expect(await host.http.json("/api/v1/conversations/anna-1")).toMatchObject({
      id: "anna-1",
      messages: [{ content: "one" }, {}, { content: "two" }, { role: "assistant" }],
    });
  });

  test("is cut by whole turns to what the model holds, with what the system says", async () => {
    await order("small/pin");
    await host.run(30);
    // Some 2,000 characters are 570 tokens: of 2,048 three such turns take most.
    const long = (index: number) => `${index} ${"x".repeat(2_000)}`;
    const messages = [
      { role: "system", content: "be short" },
      ...Array.from({ length: 6 }, (_, index) => [
        { role: "user", content: long(index) },
        { role: "assistant", content: "ok" },
      ]).flat(),
      { role: "user", content: "last" },
    ];
    const answer = await say("", {}, { messages });
    expect(answer.headers.get("x-conductor-degraded")).toBe("true");
    const conductor = ((await answer.json()) as { conductor: { droppedTurns: number } }).conductor;
    expect(conductor.droppedTurns).toBeGreaterThan(0);
    expect(asked("small")).toEqual([messages[0], ...messages.slice(1 + 2 * conductor.droppedTurns)]);
  });

  test("takes the system's newest word, and a client's own history as the whole", async () => {
    await say("one", named);
    const system = { role: "system", content: "be kind" };
    await say("", named, { messages: [system, { role: "user", content: "two" }] });
    expect((asked("large") as { content: string }[]).map(({ content }) => content)).toMatchObject([
      "be kind",
      "one",
      expect.any(String),
      "two",
    ]);
    const whole = [
      { role: "user", content: "other" },
      { role: "assistant", content: "yes" },
      { role: "user", content: "three" },
    ];
    await say("", named, { messages: whole });
    expect(asked("large")).toEqual(whole);
  });

  test("of which an answer broke off keeps what it had", async () => {
    await say("one", named);
    const before = host.conversations.get("anna-1");
    host.servers.large.instead = ({ path }) =>
      path.endsWith("completions")
        ? new Response("data: no\n\n", { headers: { "content-type": "text/event-stream" } })
        : null;
    host.servers.small.instead = host.servers.large.instead;
    expect((await say("two", named)).status).toBe(502);
    expect(host.conversations.get("anna-1")).toEqual(before);
  });

  test("that is deleted while the model speaks stays deleted", async () => {
    await say("one", named);
    const gate = Promise.withResolvers<void>();
    const parts = [spoken("two"), `${spoken(" and three")}data: [DONE]\n\n`];
    host.servers.large.instead = ({ path }) =>
      path.endsWith("completions")
        ? new Response(
            new ReadableStream({
              pull: async (controller) => {
                if (parts.length === 1) await gate.promise;
                const part = parts.shift();
                if (part === undefined) controller.close();
                else controller.enqueue(part);
              },
            }),
            { headers: { "content-type": "text/event-stream" } },
          )
        : null;
    const response = await say("two", named, { stream: true });
    const url = host.http.url("/api/v1/conversations/anna-1");
    expect((await fetch(url, { method: "DELETE" })).status).toBe(200);
    gate.resolve();
    expect(await response.text()).toContain(" and three");
    expect(host.conversations.list()).toEqual([]);
  });

  test("is listed to administrators, and deleted by who knows its name", async () => {
    await say("one", named);
    await say("one", { "X-Conversation-Id": "ben" });
    expect((await problemOf(await host.http.get("/api/v1/conversations"))).status).toBe(401);
    const list = await host.http.get("/api/v1/conversations", host.http.administrator);
    expect(await list.json()).toMatchObject({
      conversations: [{ id: "ben", messages: 2 }, { id: "anna-1" }],
    });
    const remove = (id: string, headers = {}) =>
      fetch(host.http.url(`/api/v1/conversations${id}`), { method: "DELETE", headers });
    expect((await remove("/anna-1")).status).toBe(200);
    expect(await problemOf(await remove("/anna-1"))).toMatchObject({ code: "conversation_unknown" });
    expect((await remove("")).status).toBe(401);
    expect(await (await remove("", host.http.administrator)).json()).toEqual({ deleted: 1 });
    expect(host.conversations.list()).toEqual([]);
  });

  test("with a name that is none, or of a text to be continued, is refused", async () => {
    for (const id of ["a b", "x".repeat(129), "../etc"]) {
      const refused = await say("one", { "X-Conversation-Id": id });
      expect([refused.status, await refused.json()]).toMatchObject([
        400,
        { error: { param: "X-Conversation-Id" } },
      ]);
    }
    const text = await host.http.post("/v1/completions", { prompt: "once" }, named);
    expect(text.status).toBe(400);
  });
});

describe("under /v1 every error is in the shape that clients read", () => {
  test.each([
    ["/v1/nothing", "GET", undefined, 404, "path_unknown"],
    ["/v1/chat/completions", "GET", undefined, 405, "method_not_allowed"],
    ["/v1/chat/completions", "POST", "{", 400, "body_malformed"],
    ["/v1/chat/completions", "POST", "[]", 400, "body_invalid"],
    ["/v1/chat/completions", "POST", "x".repeat(2 ** 21), 413, "body_too_large"],
  ])("%s %s", async (path, method, body, status, code) => {
    const response = await fetch(host.http.url(path), {
      method,
      headers: { "Content-Type": "application/json", Authorization: "Bearer anything" },
      ...(body === undefined ? {} : { body }),
    });
    expect(response.headers.get("content-type")).toBe("application/json");
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect([response.status, error.code, error.type]).toEqual([status, code, "invalid_request_error"]);
    expect(typeof error.message).toBe("string");
  });

  test("off loopback the token is needed, as the client's key", async () => {
    const open = await served({ host: "0.0.0.0" });
    const anonymous = await open.get("/v1/models");
    expect([anonymous.status, await anonymous.json()]).toMatchObject([
      401,
      { error: { type: "authentication_error", code: "token_required" } },
    ]);
    expect((await open.get("/v1/models", open.administrator)).status).toBe(200);
    await open.end();
  });
});

test("a client that does not read holds the engine up, and nothing piles up in between", async () => {
  const chunk = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "x".repeat(8_000) }, finish_reason: null }] })}\n\n`;
  let made = 0;
  let stopped = false;
  host.servers.large.instead = ({ path }) =>
    path.endsWith("completions")
      ? new Response(
          new ReadableStream({
            pull: (controller) => {
              made += chunk.length;
              controller.enqueue(chunk);
            },
            cancel: () => {
              stopped = true;
            },
          }),
          { headers: { "content-type": "text/event-stream" } },
        )
      : null;
  const response = await say("hello", {}, { stream: true, max_tokens: 100_000 });
  const reader = response.body?.getReader();
  await reader?.read();
  // The sockets between take some; then nothing moves any more.
  let before = -1;
  while (before !== made) {
    before = made;
    await Bun.sleep(300);
  }
  expect(made).toBeLessThan(40 * MiB);
  await reader?.cancel();
  while (!stopped) await Bun.sleep(5);
  expect(host.manager.facts()[0]?.generating).toBe(0);
}, 20_000);
