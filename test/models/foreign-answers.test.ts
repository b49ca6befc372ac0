/** Whatever a server sends, an answer has one end, nothing is thrown, and the engine goes on. */

import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { SystemClock } from "../../src/clock.ts";
import type { Driver } from "../../src/models/driver.ts";
import type { HttpCall } from "../../src/models/http-call.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { OllamaDriver } from "../../src/models/ollama-driver.ts";
import { OpenaiDriver } from "../../src/models/openai-driver.ts";
import { ask, never, taken } from "./engine-contract.ts";

const clock = new SystemClock();

const known: Record<string, string> = {
  "/v1/models": '{"data":[{"id":"words"}]}',
  "/api/ps": '{"models":[{"name":"words"}]}',
  "/api/show": "{}",
};

/** A server whose streams are `pieces`. */
const sending =
  (status: number, pieces: readonly string[]): HttpCall =>
  async ({ url, body }) => {
    const listed = known[new URL(url).pathname];
    const streamed = (body as { stream?: boolean } | undefined)?.stream === true;
    return {
      status: streamed ? status : 200,
      contentType: "text/event-stream",
      retryAfter: null,
      body: (async function* () {
        for (const piece of streamed ? pieces : [listed ?? "{}"]) yield Buffer.from(piece);
      })(),
    };
  };

const drivers: Record<string, (call: HttpCall) => Driver> = {
  openai: (call) =>
    new OpenaiDriver(
      {
        baseUrl: "http://memory/v1",
        model: "words",
        keyVariable: null,
        mostGenerations: 1,
        maxTokensKey: "max_tokens",
      },
      { clock, call, environment: {} },
    ),
  ollama: (call) =>
    new OllamaDriver(
      { baseUrl: "http://memory", model: "words", contextTokens: null, keepAlive: -1, mostGenerations: 1 },
      { clock, call, environment: {} },
    ),
};

/** Values under the names that the APIs use, in places where they belong and where they do not. */
const answer = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.jsonValue({ maxDepth: 1 }),
    tie("object"),
    fc.array(tie("value"), { maxLength: 2 }),
  ),
  object: fc.dictionary(
    fc.constantFrom(
      ...["choices", "delta", "content", "text", "finish_reason", "usage", "error", "message", "response"],
      ...["done", "done_reason", "eval_count", "prompt_tokens", "0"],
    ),
    tie("value"),
    { maxKeys: 4 },
  ),
}));

const piece = fc.oneof(
  answer.value.map((value) => `data: ${JSON.stringify(value)}\n\n`),
  answer.value.map((value) => `${JSON.stringify(value)}\n`),
  fc.constantFrom("data: [DONE]\n\n", "data: ", "\n\n", ": ping\n\n", "\r", '{"done":true}\n'),
  fc.string(),
);

test.each(Object.keys(drivers))("%s", async (kind) => {
  const make = drivers[kind];
  if (!make) throw new Error(kind);
  const status = fc.constantFrom(200, 200, 200, 200, 100, 204, 302, 400, 429, 500, 999);
  await fc.assert(
    fc.asyncProperty(status, fc.array(piece, { maxLength: 6 }), async (code, pieces) => {
      const engine = new ManagedEngine(make(sending(code, pieces)), clock);
      expect(await engine.load()).toMatchObject({ ok: true });
      const { end } = await taken(engine.generate(ask(), never));
      expect(end.failure === null).toBe(end.finishReason !== "error");
      expect([engine.state, engine.generating]).toEqual(["ready", 0]);
    }),
    { numRuns: 1_000 },
  );
});
