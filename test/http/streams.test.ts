/** Answers in chunks from a real plugin, through the router and a real socket. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { dispatcherOf } from "../../src/conductor/plugin-ports.ts";
import { Breakers } from "../../src/health/breakers.ts";
import { mostLevels } from "../../src/http/nesting.ts";
import { silentLog } from "../../src/log.ts";
import type { Outcome } from "../../src/routing/outcome.ts";
import { Router } from "../../src/routing/router.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { bunPlugin, clock, eventually, type Harness, harness } from "../plugins/harness.ts";
import { postHead } from "./raw-socket.ts";
import { problemOf, type Served, served } from "./served.ts";

const source = `
let made = 0, ended = 0, aborted = 0;
async function* count({ upTo = 3, bytes = 0, everyMs = 0, end, deep = 0 }, signal) {
  signal.addEventListener("abort", () => aborted++);
  try {
    for (let n = 0; n < upTo; n++) {
      if (everyMs > 0) await Bun.sleep(everyMs);
      made++;
      yield bytes > 0 ? "x".repeat(bytes) : n;
    }
    if (end === "throw") throw new Error("no more of it");
    if (end === "exit") process.exit(3);
    if (end === "hang") await new Promise(() => {});
    if (end === "bigint") yield 1n as never;
    if (deep > 0) yield JSON.parse("[".repeat(deep) + "]".repeat(deep));
  } finally { ended++; }
}
export default definePlugin({
  handleRequest(request, { signal }) {
    if (request.type === "state") return { made, ended, aborted };
    if (request.type === "reset") { made = ended = aborted = 0; return null; }
    if (request.type === "early") throw new Error("before anything");
    if (request.type === "later") return Bun.sleep(20).then(() => count(request.payload as never, signal));
    return count(request.payload as never, signal);
  },
});`;

let plugins: Harness;
let subject: Served;
let breakers: Breakers;
let router: Router;
const told: Outcome[] = [];

beforeAll(async () => {
  const limits = "limits: { requestTimeout: 2s, concurrency: 4 }\nrecovery: { backoff: { initial: 10ms } }\n";
  plugins = await harness({ bot: bunPlugin("bot", source, limits) });
  await plugins.manager.startAll();
  breakers = new Breakers({ clock, events: { publish: () => undefined }, failures: 100, resetMs: 1_000 });
  let id = 0;
  router = new Router({
    clock,
    log: silentLog,
    dispatcher: dispatcherOf(plugins.manager, 10_000),
    breakers,
    fallbacks: () => [],
    newRequestId: () => `request-${++id}`,
    observers: [{ routed: (outcome) => told.push(outcome) }],
  });
  subject = await served({ over: { router } });
});
afterAll(async () => {
  await subject.end();
  breakers.stop();
  await plugins.end();
});

const ask = (body: { [key: string]: Json }, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  fetch(subject.url("/api/v1/requests"), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ platform: "bot", payload: {}, ...body }),
    ...(signal ? { signal } : {}),
  });

const stateOf = async (): Promise<{ made: number; ended: number; aborted: number }> => {
  const { result } = (await (await ask({ type: "state" })).json()) as { result: never };
  return result;
};

beforeEach(async () => {
  await ask({ type: "reset" });
  told.length = 0;
});

/** The lines of an NDJSON answer. */
const linesOf = async (response: Response): Promise<Record<string, Json>[]> => {
  const text = await response.text();
  expect(text.endsWith("\n")).toBe(true);
  return text
    .trimEnd()
    .split("\n")
    .map((each) => JSON.parse(each));
};

describe("an answer in chunks", () => {
  test("comes as lines: the head, each chunk, the end", async () => {
    const response = await ask({ payload: { upTo: 2 } });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    const [head, ...rest] = await linesOf(response);
    expect(head).toEqual({
      requestId: response.headers.get("x-request-id"),
      platform: "bot",
      plugin: "bot",
      degraded: false,
    });
    expect(rest).toEqual([
      { chunk: 0 },
      { chunk: 1 },
      { done: true, durationMs: expect.any(Number), chunks: 2 },
    ]);
    expect(told).toMatchObject([{ kind: "answered", streamed: true }]);
  });

  test("comes as events to a client that accepts them", async () => {
    const response = await ask({ payload: { upTo: 1 } }, { Accept: "text/event-stream" });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const events = (await response.text()).split("\n\n");
    expect(events.pop()).toBe("");
    expect(events.map((each) => each.split("\n")[0])).toEqual([
      "event: start",
      "event: chunk",
      "event: done",
    ]);
    expect(events[1]).toBe("event: chunk\ndata: 0");
    expect(JSON.parse(events[2]?.split("\ndata: ")[1] ?? "")).toMatchObject({ chunks: 1 });
  });

  test("reaches the client chunk by chunk, not at its end", async () => {
    const response = await ask({ payload: { upTo: 1, end: "hang" } });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    while (!text.includes('{"chunk":0}\n')) text += Buffer.from((await reader.read()).value ?? []).toString();
    expect(router.inFlight).toBe(1);
    await reader.cancel();
    await eventually(() => router.inFlight === 0);
  });

  test("of a promise, with large and many chunks, comes whole", async () => {
    const large = await linesOf(await ask({ type: "later", payload: { upTo: 5, bytes: 1_000_000 } }));
    expect(large.map(({ chunk }) => (chunk as string)?.length)).toEqual([
      undefined,
      ...Array(5).fill(1_000_000),
      undefined,
    ]);
    const many = await linesOf(await ask({ payload: { upTo: 5_000 } }));
    expect(many.slice(1, -1).map(({ chunk }) => chunk)).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  });

  test("that ends badly ends with the problem, after what had come", async () => {
    const rows = [
      { end: "throw", status: 502, code: "plugin_error", detail: "no more of it" },
      { end: "bigint", status: 502, code: "plugin_error", detail: "BigInt" },
      { end: "hang", status: 504, code: "plugin_timeout", detail: "no further chunk within" },
      { end: "exit", status: 503, code: "plugin_crashed", detail: "exited with code 3" },
    ];
    for (const { end, ...problem } of rows) {
      const lines = await linesOf(await ask({ payload: { upTo: 2, end } }));
      const came = lines.slice(1, -1);
      // What a process wrote just before its end may not have been read.
      expect(came).toEqual([{ chunk: 0 }, { chunk: 1 }].slice(0, end === "exit" ? came.length : 2));
      expect(lines.at(-1)).toEqual({
        error: expect.objectContaining({ ...problem, detail: expect.stringContaining(problem.detail) }),
      });
      await eventually(() => plugins.manager.view("bot")?.state === "ready");
    }
    expect(told.map((outcome) => outcome.kind)).toEqual(Array(4).fill("refused"));
  });

  test("with a chunk nested too deep ends with that, and one as deep as allowed comes through", async () => {
    const fits = await linesOf(await ask({ payload: { upTo: 1, deep: mostLevels } }));
    expect(fits.at(-1)).toMatchObject({ done: true, chunks: 2 });
    const lines = await linesOf(await ask({ payload: { upTo: 1, deep: mostLevels + 1 } }));
    expect(lines.at(-1)).toMatchObject({ error: { code: "plugin_bad_answer" } });
    await eventually(async () => (await stateOf()).ended === 2);
  });

  test("with a chunk over 1 MiB ends with that, and the plugin lives", async () => {
    const lines = await linesOf(await ask({ payload: { upTo: 2, bytes: 2 ** 20 } }).then(asLines));
    expect(lines.at(-1)).toMatchObject({ code: "plugin_error", detail: expect.stringContaining("1048576") });
    expect(await stateOf()).toMatchObject({ made: 1, ended: 1 });
  });

  test("that fails before its first chunk is an ordinary problem", async () => {
    expect(await problemOf(await ask({ type: "early" }))).toMatchObject({
      status: 502,
      detail: "before anything",
    });
    const slow = await problemOf(await ask({ payload: { upTo: 1, everyMs: 300 }, deadlineMs: 50 }));
    expect(slow).toMatchObject({ status: 504 });
    // Its work is not interrupted, only asked to end: the generator ends when it comes back from what it waits for.
    await eventually(async () => (await stateOf()).ended === 1);
    expect((await stateOf()).aborted).toBe(1);
  });

  test("stops at the client's deadline", async () => {
    const lines = await linesOf(await ask({ payload: { upTo: 1_000, everyMs: 20 }, deadlineMs: 300 }));
    expect(lines.at(-1)).toMatchObject({ error: { code: "plugin_timeout", status: 504 } });
    await eventually(async () => (await stateOf()).ended === 1);
  });
});

/** A problem document as the only line. */
const asLines = async (response: Response): Promise<Response> =>
  new Response(`${JSON.stringify(await response.json())}\n`);

describe("stream: false", () => {
  test("collects the chunks into a list", async () => {
    const response = await ask({ payload: { upTo: 3 }, stream: false });
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toMatchObject({ plugin: "bot", result: [0, 1, 2], streamed: true });
  });

  test("refuses more than 1 MiB and stops the plugin", async () => {
    const response = await ask({ payload: { upTo: 10_000, bytes: 100_000 }, stream: false });
    expect(await problemOf(response)).toMatchObject({ status: 502, code: "answer_too_large" });
    await eventually(async () => (await stateOf()).ended === 1);
    expect((await stateOf()).made).toBeLessThan(50);
  });
});

describe("a client", () => {
  const request = JSON.stringify({ platform: "bot", payload: { upTo: 20_000, bytes: 50_000 } });
  const open: Socket[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.destroy();
  });
  /** A connection that reads nothing after the first bytes of an answer of 1 GB. */
  const stuck = async () => {
    const socket = connect(subject.port, "127.0.0.1");
    open.push(socket);
    socket.write(postHead(subject.port, "/api/v1/requests", request.length) + request);
    await new Promise<void>((resolve, reject) => {
      socket.once("data", () => {
        socket.pause();
        resolve();
      });
      socket.once("error", reject);
    });
    return socket;
  };
  /** How many chunks were made when no more are. */
  const settled = async (): Promise<number> => {
    let before = -1;
    await eventually(async () => {
      const { made } = await stateOf();
      const still = made === before;
      before = made;
      if (!still) await Bun.sleep(200);
      return still;
    }, 10_000);
    return before;
  };

  test("that does not read stops the plugin; its place stays taken; reading on goes on", async () => {
    const socket = await stuck();
    const made = await settled();
    // The sockets' buffers and the credit, of 20,000.
    expect(made).toBeLessThan(1_000);
    expect([router.inFlight, plugins.manager.view("bot")?.inFlight]).toEqual([1, 1]);
    socket.resume();
    await eventually(async () => (await stateOf()).made > made + 100);
    socket.destroy();
    await eventually(async () => (await stateOf()).ended === 1);
  });

  test("that goes away ends the plugin's work, whether it was reading or not", async () => {
    for (const reading of [true, false]) {
      const socket = await stuck();
      if (reading) socket.resume();
      else await settled();
      const { ended } = await stateOf();
      socket.destroy();
      await eventually(async () => (await stateOf()).ended === ended + 1);
      await eventually(() => router.inFlight === 0);
      expect(plugins.manager.view("bot")?.inFlight).toBe(0);
    }
    const streams = told.filter(({ attempts }) => attempts[0]?.outcome === "cancelled");
    expect(streams).toMatchObject([
      { status: 499, streamed: true },
      { status: 499, streamed: true },
    ]);
  });

  test("that goes away while the plugin is silent ends its work too", async () => {
    const leave = new AbortController();
    const response = await ask({ payload: { upTo: 1_000_000, everyMs: 300 } }, {}, leave.signal);
    expect(response.status).toBe(200);
    leave.abort();
    await eventually(async () => (await stateOf()).ended === 1);
  });

  test("that goes away before the first chunk ends the work too", async () => {
    const leave = new AbortController();
    const asked = ask({ payload: { upTo: 2, everyMs: 300 } }, {}, leave.signal);
    await eventually(() => router.inFlight === 1);
    leave.abort();
    expect(await asked.catch((error: Error) => error.name)).toBe("AbortError");
    await eventually(async () => (await stateOf()).ended === 1);
    expect(told[0]).toMatchObject({ kind: "refused", status: 499 });
  });

  test("that takes nothing for 40 s is given up, whatever the runtime tells", async () => {
    await stuck();
    await settled();
    await subject.clock.advance(39_000);
    expect(router.inFlight).toBe(1);
    await subject.clock.advance(1_000);
    await eventually(() => router.inFlight === 0);
    await eventually(async () => (await stateOf()).ended === 1);
  });

  test("may wait for the plugin for as long as the plugin may take", async () => {
    const lines = ask({ payload: { upTo: 2, everyMs: 500 } }).then(linesOf);
    await eventually(async () => (await stateOf()).made >= 1);
    await subject.clock.advance(120_000);
    expect((await lines).at(-1)).toMatchObject({ done: true, chunks: 2 });
  });

  test("has no time limit while it waits for the plugin, and one while it has to read", async () => {
    const limits: number[] = [];
    const { port } = subject;
    const response = await subject.app.fetch(
      new Request(`http://127.0.0.1:${port}/api/v1/requests`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Host: `127.0.0.1:${port}` },
        body: JSON.stringify({ platform: "bot", payload: { upTo: 2 } }),
      }),
      { timeout: (_: Request, seconds: number) => void limits.push(seconds) },
    );
    await response.text();
    // The head, two chunks, the end; and the limit that the connection keeps.
    expect(limits).toEqual([30, 0, 30, 0, 30, 0, 30, 0, 30]);
  });
});
