/** The official client of OpenAI, as it is, against conductor: what its users do, and what goes wrong. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import OpenAI, { APIError, BadRequestError, InternalServerError, NotFoundError } from "openai";
import { wordAt } from "../models/model-server.ts";
import { ModelServingHost, saying, spoken, until } from "./model-serving.ts";

let host: ModelServingHost;
let client: OpenAI;

beforeEach(async () => {
  host = new ModelServingHost();
  await host.open();
  await host.run(1);
  client = new OpenAI({ baseURL: host.http.url("/v1"), apiKey: "anything", maxRetries: 0 });
});
afterEach(() => host.end());

const question = [{ role: "user" as const, content: "hello" }];
const words = (count: number, seed = 0) =>
  Array.from({ length: count }, (_, index) => wordAt(seed, index)).join(" ");
const ask = { model: "auto", messages: question, max_tokens: 5 };

/** What a call that has to fail throws. */
async function failureOf(work: PromiseLike<unknown>): Promise<APIError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof APIError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

describe("the client of OpenAI", () => {
  test("lists the models, and looks one up", async () => {
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual(["auto", "large", "small"]);
    expect(await client.models.retrieve("small")).toMatchObject({
      id: "small",
      object: "model",
      owned_by: "conductor",
    });
    expect(await failureOf(client.models.retrieve("huge"))).toMatchObject({
      status: 404,
      code: "model_not_found",
    });
  });

  test("chats", async () => {
    const { data, response } = await client.chat.completions
      .create({ ...ask, seed: 3, temperature: 0, top_p: 1, n: 1, tools: [], user: "anna" })
      .withResponse();
    expect(data).toMatchObject({
      object: "chat.completion",
      model: "large",
      choices: [{ index: 0, finish_reason: "length", message: { role: "assistant", content: words(5, 3) } }],
      usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 },
      conductor: { model: "large", degraded: false, insteadOf: null, droppedTurns: 0, note: null },
    });
    expect(response.headers.get("x-conductor-model")).toBe("large");
    expect(response.headers.get("x-conductor-degraded")).toBe("false");
    expect(host.servers.large.calls.at(-1)?.body).toMatchObject({ seed: 3, temperature: 0, max_tokens: 5 });
  });

  test("streams, and is told what it took", async () => {
    const { data, response } = await client.chat.completions
      .create({ ...ask, stream: true, stream_options: { include_usage: true } })
      .withResponse();
    expect(response.headers.get("x-conductor-model")).toBe("large");
    const chunks = await Array.fromAsync(data);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(words(5));
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason ?? null).filter(Boolean)).toEqual([
      "length",
    ]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 12 } });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test("completes a text, whole and streamed", async () => {
    const whole = await client.completions.create({ model: "large", prompt: "once", max_tokens: 3 });
    expect(whole).toMatchObject({ object: "text_completion", choices: [{ text: words(3) }] });
    const stream = await client.completions.create({
      model: "large",
      prompt: ["once"],
      stop: ` ${wordAt(0, 2)}`,
      stream: true,
    });
    const chunks = await Array.fromAsync(stream);
    expect(chunks.map(({ choices }) => choices[0]?.text).join("")).toBe(words(2));
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("stop");
  });

  test("understands parts of text, and a developer's word", async () => {
    await client.chat.completions.create({
      model: "auto",
      max_completion_tokens: 1,
      messages: [
        { role: "developer", content: "be short" },
        {
          role: "user",
          content: [
            { type: "text", text: "hel" },
            { type: "text", text: "lo" },
          ],
        },
      ],
    });
    expect(host.servers.large.calls.at(-1)?.body.messages).toEqual([
      { role: "system", content: "be short" },
      { role: "user", content: "hello" },
    ]);
  });

  test("is told of a name that is none, with those that are", async () => {
    const failed = await failureOf(client.chat.completions.create({ ...ask, model: "gpt-9" }));
    expect(failed).toBeInstanceOf(NotFoundError);
    expect(failed).toMatchObject({ code: "model_not_found", param: "model", type: "invalid_request_error" });
    expect(failed.message).toContain("known: auto, large, small");
  });

  const image = { type: "image_url" as const, image_url: { url: "data:image/png;base64,AA==" } };
  const tool = { type: "function" as const, function: { name: "look", parameters: {} } };
  test.each([
    ["n", { n: 2 }],
    ["tools", { tools: [tool] }],
    ["response_format", { response_format: { type: "json_object" as const } }],
    ["logprobs", { logprobs: true }],
    ["presence_penalty", { presence_penalty: 0.5 }],
    ["temperature", { temperature: 2.5 }],
    ["max_tokens", { max_tokens: 0 }],
    ["messages", { messages: [] }],
    ["messages[0].content[0].type", { messages: [{ role: "user" as const, content: [image] }] }],
    ["messages[0].role", { messages: [{ role: "tool" as const, content: "1", tool_call_id: "1" }] }],
    ["messages", { messages: [...question, { role: "assistant" as const, content: "and" }] }],
    ["stop", { stop: ["1", "2", "3", "4", "5"] }],
  ])("is refused %s by its name", async (param, wrong) => {
    const failed = await failureOf(client.chat.completions.create({ ...ask, ...wrong }));
    expect(failed).toBeInstanceOf(BadRequestError);
    expect(failed).toMatchObject({ param, type: "invalid_request_error" });
    expect(failed.message.length).toBeLessThan(400);
    expect(host.servers.large.calls.filter(({ path }) => path.includes("completions"))).toEqual([]);
  });

  test("is told when even the last turn is longer than any context", async () => {
    const long = [{ role: "user" as const, content: "x".repeat(20_000) }];
    const failed = await failureOf(client.chat.completions.create({ ...ask, messages: long }));
    expect(failed).toMatchObject({ status: 400, code: "context_length_exceeded", param: "messages" });
    expect(failed.message).toContain("the longest context is 4096");
  });

  test("is told when nothing fits, who is in the way, and when to ask again", async () => {
    host.othersMiB = 950;
    await host.run(3);
    expect(host.ready).toBe("");
    const failed = await failureOf(client.chat.completions.create(ask));
    expect(failed).toBeInstanceOf(InternalServerError);
    expect(failed).toMatchObject({ status: 503, code: "memory_short", type: "server_error" });
    expect(failed.headers?.get("retry-after")).toBe("30");
    expect(failed.error).toMatchObject({
      blocked_by: "memory",
      blockedBy: [{ name: "others", bytes: 950 * 2 ** 20 }],
    });
  });

  test.each([["the client's abort", (stream: { controller: AbortController }) => stream.controller.abort()]])(
    "stops the generation at the engine by %s",
    async (_, stop) => {
      const stream = await client.chat.completions.create({ ...ask, max_tokens: 500_000, stream: true });
      let seen = 0;
      for await (const _chunk of stream) if (++seen === 20) stop(stream);
      expect(seen).toBeGreaterThanOrEqual(20);
      await until(() => host.servers.large.generating === 0, "the engine stops");
      await until(() => host.manager.facts()[0]?.generating === 0, "the manager knows");
      expect(host.answered.at(-1)).toMatchObject({ model: "large", finishReason: "aborted" });
      expect((await client.chat.completions.create(ask)).choices[0]?.finish_reason).toBe("length");
    },
  );

  test("stops a whole answer that is under way, too", async () => {
    const abort = new AbortController();
    const work = client.chat.completions.create({ ...ask, max_tokens: 500_000 }, { signal: abort.signal });
    await until(() => host.servers.large.generating === 1, "it is generated");
    abort.abort();
    expect((await failureOf(work)).name).toBe("Error");
    await until(() => host.servers.large.generating === 0, "the engine stops");
  });
});

describe("a model server that goes wrong", () => {
  const garbage = () => saying("data: {nonsense\n\n");
  const half = () => saying(spoken("one"), spoken(" two"));
  const failing = (server: "large" | "small", answer: () => Response) => {
    host.servers[server].instead = ({ path }) => (path.endsWith("completions") ? answer() : null);
  };

  test("before its first text: the next rung answers, and the headers say so", async () => {
    failing("large", garbage);
    const { data, response } = await client.chat.completions.create(ask).withResponse();
    expect(data).toMatchObject({
      model: "small",
      conductor: { degraded: true, insteadOf: "large" },
    });
    expect(response.headers.get("x-conductor-degraded")).toBe("true");
    expect(response.headers.get("x-conductor-instead-of")).toBe("large");
  });

  test("on every rung: 502 with what it said", async () => {
    failing("large", garbage);
    failing("small", () => new Response("<html>", { headers: { "content-type": "text/html" } }));
    const failed = await failureOf(client.chat.completions.create(ask));
    expect(failed).toMatchObject({ status: 502, code: "bad_answer" });
    expect(failed.message).toContain("not a stream of events");
  });

  test("in the middle of a whole answer: 502, and nothing half is given out as whole", async () => {
    failing("large", half);
    expect(await failureOf(client.chat.completions.create(ask))).toMatchObject({
      status: 502,
      code: "broken_stream",
    });
  });

  test("in the middle of a stream: what was said, then an error", async () => {
    failing("large", half);
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    let said = "";
    const failed = await failureOf(
      (async () => {
        for await (const { choices } of stream) said += choices[0]?.delta.content ?? "";
      })(),
    );
    expect(said).toBe("one two");
    expect(failed).toMatchObject({ code: "broken_stream", type: "server_error" });
    expect(host.manager.facts()[0]?.generating).toBe(0);
  });
});

test("a server that never gets ready keeps nobody waiting for ever", async () => {
  const lame = new ModelServingHost();
  for (const server of Object.values(lame.servers))
    server.instead = () => Response.json({ error: { message: "Loading model" } }, { status: 503 });
  await lame.open();
  const other = new OpenAI({ baseURL: lame.http.url("/v1"), apiKey: "k", maxRetries: 0 });
  const failed = failureOf(other.chat.completions.create(ask));
  let settled = false;
  void failed.finally(() => {
    settled = true;
  });
  while (!settled) {
    await lame.clock.advance(250);
    await Bun.sleep(0);
  }
  expect(await failed).toMatchObject({ status: 429, code: "models_busy" });
  expect((await failed).message).toContain("waited for 30000 ms");
  await lame.end();
});

test("an answer cut in an emergency ends as too long, with a note; nothing hangs", async () => {
  const stream = await client.chat.completions.create({ ...ask, max_tokens: 500_000, stream: true });
  let last: unknown;
  let seen = 0;
  for await (const chunk of stream) {
    last = chunk;
    if (++seen !== 20) continue;
    host.othersMiB = 580;
    host.manager.evaluate();
  }
  expect(last).toMatchObject({
    choices: [{ finish_reason: "length" }],
    conductor: {
      model: "large",
      note: "The answer was cut: memory ran out, and the model had to be unloaded.",
    },
  });
  await until(() => host.servers.large.generating === 0, "the engine stops");
});
