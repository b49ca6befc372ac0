/**
 * The servers that test/bench/models-http.ts measures, each as a process of its own; prints its port.
 *   words            a model server: tokens as fast as they are taken, or `seed` milliseconds apart
 *   bare PORT        passes on what that model server answers, and looks at nothing
 *   conductor PORT   the whole HTTP interface over a real manager, whose one engine is that model server
 */
import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { MemoryConversations } from "../../src/models/conversation-store.ts";
import { httpCall } from "../../src/models/http-call.ts";
import { ManagedEngine } from "../../src/models/managed-engine.ts";
import { ModelManager } from "../../src/models/manager.ts";
import { OpenaiDriver } from "../../src/models/openai-driver.ts";
import { served } from "./served.ts";

const [what, port] = process.argv.slice(2);

const encoder = new TextEncoder();
const chunk = encoder.encode(
  `data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"words","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n`,
);
const end = encoder.encode(
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\ndata: [DONE]\n\n',
);

function words(): number {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      if (request.url.endsWith("/models")) return Response.json({ data: [{ id: "words" }] });
      const { max_tokens: tokens, seed: pauseMs } = (await request.json()) as {
        max_tokens: number;
        seed: number;
      };
      let sent = 0;
      const body = new ReadableStream<Uint8Array>(
        {
          pull: async (controller) => {
            if (pauseMs > 0) await Bun.sleep(pauseMs);
            controller.enqueue(sent++ < tokens ? chunk : end);
            if (sent > tokens) controller.close();
          },
        },
        { highWaterMark: 0 },
      );
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return server.port ?? 0;
}

async function conductor(): Promise<number> {
  const clock = new SystemClock();
  const settings = {
    model: "words",
    keyVariable: null,
    mostGenerations: 4,
    maxTokensKey: "max_tokens",
  } as const;
  const tier = {
    name: "words",
    quality: 100,
    contextTokens: 1_000_000,
    mostParallel: 4,
    bytes: { declared: 0, weights: null, kvPerToken: null },
    stepDownRatio: null,
    slowestTokensPerSecond: null,
  };
  const manager = new ModelManager([tier], {
    clock,
    log: silentLog,
    makeEngine: () =>
      new ManagedEngine(
        new OpenaiDriver(
          { ...settings, baseUrl: `http://127.0.0.1:${port}/v1` },
          { clock, call: httpCall, environment: {} },
        ),
        clock,
      ),
    memory: () => ({ memory: { usedBytes: 1, budgetBytes: 1_000, reservedBytes: 0 }, forecast: null }),
    reserve: () => () => undefined,
    changed: () => undefined,
    decided: () => undefined,
  });
  manager.evaluate();
  await manager.settled();
  const models = { manager, conversations: new MemoryConversations(), otherProcesses: () => [] };
  return (await served({ over: { clock, log: silentLog, models } })).port;
}

function bare(): number {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      const { body } = await fetch(`http://127.0.0.1:${port}${pathname}`, {
        method: "POST",
        body: await request.text(),
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return server.port ?? 0;
}

const servers: Record<string, () => number | Promise<number>> = { words, bare, conductor };
console.log(JSON.stringify({ port: await servers[what ?? ""]?.() }));
