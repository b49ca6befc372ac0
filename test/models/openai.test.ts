import { afterEach, describe, expect, test } from "bun:test";
import { SystemClock } from "../../src/clock.ts";
import { httpCall } from "../../src/models/http-call.ts";
import { type EngineLimits, ManagedEngine } from "../../src/models/managed-engine.ts";
import { OpenaiDriver, type OpenaiSettings } from "../../src/models/openai-driver.ts";
import { ask, engineContract, never, type Subject, taken } from "./engine-contract.ts";
import { ModelServer, type ModelServerOptions, wordAt } from "./model-server.ts";

const clock = new SystemClock();

const engineOf = (
  server: { url: string },
  settings: Partial<OpenaiSettings> = {},
  limits: Partial<EngineLimits> = {},
) =>
  new ManagedEngine(
    new OpenaiDriver(
      {
        baseUrl: `${server.url}/v1`,
        model: "words",
        keyVariable: null,
        mostGenerations: 3,
        maxTokensKey: "max_tokens",
        ...settings,
      },
      { clock, call: httpCall, environment: { MODEL_KEY: "k-123", EMPTY_KEY: "" } },
    ),
    clock,
    limits,
  );

engineContract("openai", async (): Promise<Subject> => {
  const server = new ModelServer();
  return {
    engine: engineOf(server),
    proof: "holds-nothing",
    measures: false,
    mostGenerations: 3,
    pids: () => [],
    underWay: () => server.generating,
    end: () => server.stop(),
  };
});

let server: ModelServer | null = null;
afterEach(() => server?.stop());

const served = (options: ModelServerOptions = {}) => {
  server = new ModelServer(options);
  return server;
};

const events = (...texts: string[]) =>
  new Response(texts.join(""), { headers: { "content-type": "text/event-stream" } });
const said = (text: string, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text }, finish_reason: finish }] })}\n\n`;

/** The answer when the server answers every generation so. */
async function answered(
  answer: () => Response | Promise<Response>,
  settings: Partial<OpenaiSettings> = {},
  limits: Partial<EngineLimits> = {},
) {
  const at = served();
  const engine = engineOf(at, settings, limits);
  expect(await engine.load()).toMatchObject({ ok: true });
  at.instead = ({ path }) => (path.endsWith("/completions") ? answer() : null);
  return taken(engine.generate(ask(), never));
}

describe("openai: what it sends", () => {
  test("the key from the environment, and nothing that was not asked for", async () => {
    const at = served();
    const engine = engineOf(at, { keyVariable: "MODEL_KEY" });
    await engine.load();
    await taken(engine.generate({ input: { prompt: "hi" }, maxTokens: 2 }, never));
    const last = at.calls.at(-1);
    expect(last?.headers.get("authorization")).toBe("Bearer k-123");
    expect(last?.body).toEqual({
      model: "words",
      prompt: "hi",
      max_tokens: 2,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test("every setting of a conversation under its name there", async () => {
    const at = served();
    const engine = engineOf(at, { maxTokensKey: "max_completion_tokens" });
    await engine.load();
    const input = { messages: [{ role: "user" as const, content: "hi" }] };
    await taken(
      engine.generate({ input, maxTokens: 2, temperature: 0.5, topP: 0.9, stop: ["x"], seed: 4 }, never),
    );
    expect(at.calls.at(-1)).toMatchObject({
      path: "/v1/chat/completions",
      body: {
        messages: [{ role: "user", content: "hi" }],
        max_completion_tokens: 2,
        temperature: 0.5,
        top_p: 0.9,
        stop: ["x"],
        seed: 4,
      },
    });
  });
});

describe("openai: loading", () => {
  test("waits while the server reads its model (503)", async () => {
    const engine = engineOf(served({ busyLooks: 2 }));
    expect(await engine.load()).toMatchObject({ ok: true, contextTokens: 4_096 });
  });

  test("gives up when that takes too long", async () => {
    const engine = engineOf(served({ busyLooks: 1_000_000 }), {}, { loadMs: 80 });
    expect(await engine.load()).toMatchObject({ ok: false, failure: { code: "not-ready" } });
  });

  test("names the models that there are when its own is missing", async () => {
    const engine = engineOf(served({ models: ["small", "large"] }), { model: "words" });
    expect(await engine.load()).toMatchObject({
      ok: false,
      failure: { code: "model-missing", remedy: "take one that it has: small, large" },
    });
  });

  test("takes the first model listed when none is named", async () => {
    const engine = engineOf(served({ models: ["only"] }), { model: null });
    await engine.load();
    expect(engine.model).toBe("only");
    expect((await taken(engine.generate(ask(), never))).end.finishReason).toBe("length");
  });

  test("a server without a list is taken at its word", async () => {
    const at = served();
    at.instead = ({ path }) => (path === "/v1/models" ? new Response("", { status: 404 }) : null);
    const engine = engineOf(at);
    expect(await engine.load()).toMatchObject({ ok: true, contextTokens: null });
  });

  const refusals: [string, () => Response, string][] = [
    ["401", () => Response.json({ error: { message: "bad key" } }, { status: 401 }), "unauthorized"],
    ["500", () => new Response("oops", { status: 500 }), "server-error"],
    ["a page", () => new Response("<html>hello</html>"), "bad-answer"],
    ["no list", () => Response.json({ data: 5 }), "bad-answer"],
    ["a redirect", () => Response.redirect("http://127.0.0.1:1/", 302), "bad-answer"],
    ["a body without end", () => new Response(endlessZeros()), "bad-answer"],
  ];
  test.each(refusals)("%s is a failure with its code", async (_, answer, code) => {
    const at = served();
    at.instead = answer;
    const engine = engineOf(at);
    expect(await engine.load()).toMatchObject({ ok: false, failure: { code } });
    expect(engine.state).toBe("failed");
  });

  test("nobody there", async () => {
    const at = served();
    const engine = engineOf(at);
    await at.stop();
    const result = await engine.load();
    expect(result).toMatchObject({ ok: false, failure: { code: "unreachable" } });
    expect(result.ok || result.failure.message).toContain("/v1/models: nobody listens there");
  });

  test("a server that quotes the key it refuses does not make it known", async () => {
    const at = served();
    at.instead = ({ headers }) =>
      Response.json({ error: `no such key: ${headers.get("authorization")}` }, { status: 401 });
    const result = await engineOf(at, { keyVariable: "MODEL_KEY" }).load();
    expect(result.ok || result.failure.message).toEndWith("answered 401: no such key: Bearer ***");
  });

  test("a key that is not set says which variable, and no call is made", async () => {
    const at = served();
    const engine = engineOf(at, { keyVariable: "EMPTY_KEY" });
    const result = await engine.load();
    expect(result.ok || result.failure.message).toBe("the environment variable EMPTY_KEY is not set");
    expect(at.calls).toEqual([]);
  });
});

function endlessZeros(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(2 ** 16).fill(32)),
  });
}

/** A server that begins an answer in chunks, and ends its connection in the middle of it when told. */
function breakingServer(text: string) {
  const head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
  const chunk = `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
  const models = JSON.stringify({ data: [{ id: "words" }] });
  const list = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${models.length}\r\nconnection: close\r\n\r\n${models}`;
  const broken = Promise.withResolvers<void>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket, data) => {
        if (data.toString().startsWith("GET")) socket.end(list);
        else {
          socket.write(head + chunk);
          void broken.promise.then(() => socket.end());
        }
      },
    },
  });
  return { listener, break: broken.resolve };
}

describe("openai: wrong answers", () => {
  const cases: [string, () => Response, string, string][] = [
    ["garbage for JSON", () => events(said("a"), "data: {oops\n\n"), "a", "bad-answer"],
    ["a list for an event", () => events("data: [1]\n\n"), "", "bad-answer"],
    ["choices that are none", () => events('data: {"choices":5}\n\n'), "", "bad-answer"],
    [
      "a text that is a number",
      () => events('data: {"choices":[{"delta":{"content":5}}]}\n\n'),
      "",
      "bad-answer",
    ],
    [
      "an error in the stream",
      () => events(said("a"), 'data: {"error":{"message":"gpu lost"}}\n\n'),
      "a",
      "server-error",
    ],
    ["a filtered answer", () => events(said("a", "content_filter")), "a", "refused"],
    ["an end before the model was done", () => events(said("a")), "a", "broken-stream"],
    ["nothing at all", () => events(), "", "broken-stream"],
    [
      "an event cut in the middle",
      () => events(said("a"), 'data: {"choices":[{"delta"'),
      "a",
      "broken-stream",
    ],
    [
      "a line without end",
      () => new Response(endlessZeros(), { headers: { "content-type": "text/event-stream" } }),
      "",
      "bad-answer",
    ],
    ["JSON instead of a stream", () => Response.json({ choices: [] }), "", "bad-answer"],
    ["a page instead of a stream", () => new Response("<html>"), "", "bad-answer"],
    ["400", () => Response.json({ error: { message: "context too long" } }, { status: 400 }), "", "refused"],
    ["403", () => new Response("no", { status: 403 }), "", "unauthorized"],
    ["404", () => new Response("no", { status: 404 }), "", "model-missing"],
    ["502", () => new Response("bad gateway", { status: 502 }), "", "server-error"],
    ["504", () => new Response("late", { status: 504 }), "", "timeout"],
  ];
  test.each(cases)("%s", async (_, answer, text, code) => {
    const result = await answered(answer);
    expect([result.text, result.end.finishReason, result.end.failure?.code as string]).toEqual([
      text,
      "error",
      code,
    ]);
    expect(result.end.failure?.remedy.length).toBeGreaterThan(10);
  });

  test("a connection that breaks in the middle; the text before it is kept", async () => {
    const { listener, break: breakOff } = breakingServer(said("a"));
    const engine = engineOf({ url: `http://127.0.0.1:${listener.port}` });
    expect(await engine.load()).toMatchObject({ ok: true });
    const parts = engine.generate(ask(), never);
    const { text, end } = await taken({
      async *[Symbol.asyncIterator]() {
        for await (const part of parts) {
          breakOff();
          yield part;
        }
      },
    });
    listener.stop(true);
    expect([text, end.finishReason, end.failure?.code as string]).toEqual(["a", "error", "broken-stream"]);
  });

  test("a broken answer does not keep the engine from the next one", async () => {
    const at = served();
    const engine = engineOf(at);
    await engine.load();
    at.instead = () => events("data: {\n\n");
    await taken(engine.generate(ask(), never));
    at.instead = () => null;
    expect((await taken(engine.generate(ask(), never))).text).toStartWith(wordAt(1, 0));
    expect(engine.state).toBe("ready");
  });

  test("429 says when to come again: in seconds or as a date", async () => {
    const wait = async (header: string) =>
      (
        await answered(
          () => new Response('{"error":"slow down"}', { status: 429, headers: { "retry-after": header } }),
        )
      ).end.failure;
    expect(await wait("7")).toMatchObject({ code: "overloaded", status: 429, retryAfterMs: 7_000 });
    expect((await wait("999999999"))?.retryAfterMs).toBe(86_400_000);
    const soon = (await wait(new Date(Date.now() + 60_000).toUTCString()))?.retryAfterMs ?? 0;
    expect(soon).toBeGreaterThan(30_000);
    expect(soon).toBeLessThanOrEqual(60_000);
    expect(await wait("soon")).not.toHaveProperty("retryAfterMs");
  });

  test("the server's words are quoted as one line, and cut", async () => {
    const long = `line one\n\u001b[31mred ${"x".repeat(1_000)}`;
    const { end } = await answered(() => Response.json({ error: { message: long } }, { status: 400 }));
    expect(end.failure?.message).toContain("answered 400: line one [31mred xxx");
    expect(end.failure?.message.length).toBeLessThan(450);
  });
});

describe("openai: slow answers", () => {
  const silent = (text: string) => () =>
    new Response(
      new ReadableStream({
        start: (controller) => {
          if (text !== "") controller.enqueue(new TextEncoder().encode(text));
        },
      }),
      { headers: { "content-type": "text/event-stream" } },
    );

  test("no first token in time", async () => {
    const { end } = await answered(silent(""), {}, { firstTextMs: 60 });
    expect([end.finishReason, end.failure?.message]).toEqual(["error", "the engine was silent for 60 ms"]);
  });

  test("no answer at all in time", async () => {
    const { end } = await answered(() => new Promise<Response>(() => undefined), {}, { firstTextMs: 60 });
    expect(end.failure?.code).toBe("timeout");
  });

  test("silence in the middle; the text before it is kept", async () => {
    const { text, end } = await answered(silent(said("begun")), {}, { firstTextMs: 60_000, betweenMs: 60 });
    expect([text, end.finishReason, end.failure?.code]).toEqual(["begun", "error", "timeout"]);
  });

  test("a caller that takes its time is no silence of the engine", async () => {
    const engine = engineOf(served(), {}, { betweenMs: 50 });
    await engine.load();
    const parts = engine.generate(ask({ maxTokens: 3 }), never)[Symbol.asyncIterator]();
    expect((await parts.next()).value).toMatchObject({ kind: "text" });
    await Bun.sleep(150);
    const rest = await taken({ [Symbol.asyncIterator]: () => parts });
    expect([rest.texts, rest.end.finishReason]).toEqual([2, "length"]);
  });
});

test("openai: counts are null where the server does not tell them", async () => {
  const { text, end } = await answered(() => events(said("a"), said("b", "stop"), "data: [DONE]\n\n"));
  expect([text, end.usage]).toEqual(["ab", { promptTokens: null, completionTokens: null }]);
});
