import { afterEach, describe, expect, test } from "bun:test";
import { SystemClock } from "../../src/clock.ts";
import { httpCall } from "../../src/models/http-call.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { OllamaDriver, type OllamaSettings } from "../../src/models/ollama-driver.ts";
import { ask, engineContract, never, type Subject, taken } from "./engine-contract.ts";
import { ModelServer, type ModelServerOptions, wordAt } from "./model-server.ts";

const clock = new SystemClock();

const engineOf = (server: { url: string }, settings: Partial<OllamaSettings> = {}) =>
  new ManagedEngine(
    new OllamaDriver(
      {
        baseUrl: server.url,
        model: "words",
        contextTokens: null,
        keepAlive: "10m",
        mostGenerations: 2,
        ...settings,
      },
      { clock, call: httpCall, environment: {} },
    ),
    clock,
  );

engineContract("ollama", async (): Promise<Subject> => {
  const server = new ModelServer({ lingeringLooks: 2 });
  return {
    engine: engineOf(server),
    proof: "server-says-so",
    measures: true,
    mostGenerations: 2,
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

describe("ollama", () => {
  test("loads by an empty request, with its context and how long to hold it, and unloads with keep_alive 0", async () => {
    const at = served({ lingeringLooks: 3 });
    const engine = engineOf(at, { contextTokens: 2_048, keepAlive: -1 });
    expect(await engine.load()).toMatchObject({ ok: true, contextTokens: 2_048 });
    expect(at.held).toBe("words");
    expect(at.calls.map(({ path }) => path)).toEqual(["/api/show", "/api/generate", "/api/ps", "/api/ps"]);
    expect(at.calls[1]?.body).toEqual({
      model: "words",
      stream: false,
      keep_alive: -1,
      options: { num_ctx: 2_048 },
    });
    const before = at.calls.length;
    expect(await engine.unload()).toMatchObject({ ok: true, proof: "server-says-so" });
    expect(at.held).toBeNull();
    const unloading = at.calls.slice(before);
    expect(unloading[0]?.body).toEqual({ model: "words", stream: false, keep_alive: 0 });
    // It was listed three times more; only the fourth look proved it.
    expect(unloading.slice(1).map(({ path }) => path)).toEqual(Array(4).fill("/api/ps"));
  });

  test("every setting of a conversation under its name there", async () => {
    const at = served();
    const engine = engineOf(at, { contextTokens: 512 });
    await engine.load();
    const input = { messages: [{ role: "user" as const, content: "hi" }] };
    await taken(
      engine.generate({ input, maxTokens: 2, temperature: 0.5, topP: 0.9, stop: ["x"], seed: 4 }, never),
    );
    expect(at.calls.at(-1)).toMatchObject({
      path: "/api/chat",
      body: {
        model: "words",
        messages: [{ role: "user", content: "hi" }],
        stream: true,
        keep_alive: "10m",
        options: { num_ctx: 512, num_predict: 2, temperature: 0.5, top_p: 0.9, stop: ["x"], seed: 4 },
      },
    });
    await engine.unload();
  });

  test("what it holds is this host's memory: without what lies on a graphics card", async () => {
    const engine = engineOf(served({ sizeBytes: 5_000, vramBytes: 3_000 }));
    expect(await engine.load()).toMatchObject({ ok: true, footprintBytes: 2_000 });
    await engine.unload();
  });

  test("a model that it does not have names the command that gets it, and nothing is ordered", async () => {
    const at = served();
    const engine = engineOf(at, { model: "other:7b" });
    expect(await engine.load()).toMatchObject({
      ok: false,
      failure: { code: "model-missing", remedy: "run: ollama pull other:7b" },
    });
    expect(at.calls.map(({ path }) => path)).toEqual(["/api/show"]);
  });

  test("nobody there", async () => {
    const at = served();
    await at.stop();
    expect(await engineOf(at).load()).toMatchObject({ ok: false, failure: { code: "unreachable" } });
  });

  test("a server that says it loaded and does not list the model is not believed", async () => {
    const at = served();
    at.instead = ({ path }) => (path === "/api/ps" ? Response.json({ models: [] }) : null);
    expect(await engineOf(at).load()).toMatchObject({ ok: false, failure: { code: "not-ready" } });
  });

  test("a load that fails is taken back with keep_alive 0", async () => {
    const at = served();
    at.instead = ({ path, body }) =>
      path === "/api/generate" && body.keep_alive !== 0
        ? Response.json({ error: "model requires more system memory than is available" }, { status: 500 })
        : null;
    const result = await engineOf(at).load();
    expect(result).toMatchObject({ ok: false, failure: { code: "server-error", status: 500 } });
    expect(result.ok || result.failure.message).toContain("model requires more system memory");
    expect(at.calls.at(-2)?.body.keep_alive).toBe(0);
  });

  test("a server that ends while its model is loaded has given it back", async () => {
    const at = served();
    const engine = engineOf(at);
    await engine.load();
    await at.stop();
    expect(await engine.footprintBytes()).toBeNull();
    expect(await engine.health()).toMatchObject({ status: "unhealthy", failure: { code: "unreachable" } });
    expect(await engine.unload()).toMatchObject({ ok: true });
  });

  test("an unload that fails is known, and can be tried again", async () => {
    const at = served();
    const engine = engineOf(at);
    await engine.load();
    at.instead = () => new Response("busy", { status: 500 });
    expect(await engine.unload()).toMatchObject({ ok: false, failure: { code: "still-held" } });
    expect(engine.state).toBe("failed");
    at.instead = () => null;
    expect(await engine.unload()).toMatchObject({ ok: true, proof: "server-says-so" });
    expect(at.held).toBeNull();
  });

  const lines =
    (...texts: string[]) =>
    () =>
      new Response(texts.map((text) => `${text}\n`).join(""));
  const part = (response: string) => JSON.stringify({ response, done: false });
  const cases: [string, () => Response, string, string][] = [
    ["garbage in the stream", lines(part("a"), "{oops"), "a", "bad-answer"],
    ["an error in the stream", lines(part("a"), '{"error":"runner ended"}'), "a", "server-error"],
    ["a text that is a number", lines('{"response":5}'), "", "bad-answer"],
    ["an end before the model was done", lines(part("a")), "a", "broken-stream"],
    ["429", () => new Response("", { status: 429 }), "", "overloaded"],
    ["a page", () => new Response("<html>"), "", "bad-answer"],
  ];
  test.each(cases)("%s is a failure with its code, and the engine goes on", async (_, answer, text, code) => {
    const at = served();
    const engine = engineOf(at);
    await engine.load();
    at.instead = ({ path }) => (path === "/api/generate" ? answer() : null);
    const result = await taken(engine.generate(ask(), never));
    expect([result.text, result.end.finishReason, result.end.failure?.code as string]).toEqual([
      text,
      "error",
      code,
    ]);
    at.instead = () => null;
    expect((await taken(engine.generate(ask(), never))).text).toStartWith(wordAt(1, 0));
    await engine.unload();
  });
});
