/** Answers in chunks of real plugins of both runtimes: their place, their end, and what ends with them. */

import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { CallOptions, JsonStream } from "../../src/plugins/transport.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { bunPlugin, eventually, execPlugin, fixtures, type Harness, harness, request } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const counting = `export default definePlugin({
  async *handleRequest(request, { signal }) {
    const { payload } = request;
    signal.addEventListener("abort", () => console.log("aborted"));
    try {
      for (let n = 0; n < Number(payload); n++) {
        if (request.type === "crash" && n === 3) { await Bun.sleep(20); process.exit(5); }
        if (request.type === "stall" && n === 3) await new Promise((resolve) => signal.addEventListener("abort", resolve));
        yield n;
      }
    } finally { console.log("cancelled"); }
  },
});`;

const plugins = {
  bun: (more: string) => bunPlugin("bot", counting, more),
  exec: (more: string) => execPlugin("bot", ["python3", join(fixtures, "streamer.py")], more),
};
const takes: CallOptions = { timeoutMs: 5_000, stream: { idleMs: 5_000, refuse: () => null } };
const never = "recovery: { restart: never }\n";

async function start(runtime: keyof typeof plugins, more = "", options = {}): Promise<Harness> {
  open = await harness({ bot: plugins[runtime](more) }, options);
  await open.manager.startAll();
  return open;
}

async function stream({ manager }: Harness, count: number, type = "message"): Promise<JsonStream> {
  const answer = await manager.dispatch("bot", request(type, count), takes);
  if (!answer.ok || !answer.stream) throw new Error(`no stream: ${JSON.stringify(answer)}`);
  return answer.stream;
}

const upTo = (count: number): Json[] => Array.from({ length: count }, (_, n) => n);
const logged = ({ of }: Harness, text: string) => of("plugin.log").some(({ line }) => line === text);

describe.each(["bun", "exec"] as const)("a stream of a %s plugin", (runtime) => {
  test("comes whole and in order, several at once", async () => {
    const running = await start(runtime);
    const streams = await Promise.all([1_000, 500, 20].map((count) => stream(running, count)));
    const chunks = await Promise.all(streams.map((each) => Array.fromAsync(each)));
    expect(chunks).toEqual([upTo(1_000), upTo(500), upTo(20)]);
    expect(await Promise.all(streams.map(({ done }) => done))).toEqual([null, null, null]);
    expect(running.manager.view("bot")?.output).toMatchObject({ lateAnswers: 0, unknownAnswers: 0 });
  });

  test("holds its place until it is done or cancelled", async () => {
    const running = await start(runtime, "limits: { concurrency: 1 }\n");
    const first = await stream(running, 1_000_000);
    const second = stream(running, 2);
    await eventually(() => running.manager.view("bot")?.inFlight === 1);
    expect(await running.manager.dispatch("bot", request(), { ...takes, timeoutMs: 100 })).toMatchObject({
      kind: "timeout",
    });
    first.cancel();
    expect(await Array.fromAsync(await second)).toEqual(upTo(2));
    await eventually(() => logged(running, "cancelled"));
    await eventually(() => running.manager.view("bot")?.inFlight === 0);
  });

  test("is drained before the plugin is stopped, when it ends in time", async () => {
    const running = await start(runtime, "", { graceMs: 10_000 });
    const drained = await stream(running, 2_000);
    const stopping = running.manager.stop("bot");
    expect(await Array.fromAsync(drained)).toHaveLength(2_000);
    expect(await stopping).toMatchObject({ ok: true, report: { drained: true } });
  });

  test("that does not end in time is stopped with the plugin", async () => {
    const running = await start(runtime, "", { graceMs: 200 });
    const endless = await stream(running, 1_000_000_000);
    expect(await running.manager.stop("bot")).toMatchObject({ ok: true, report: { gone: true } });
    expect(await endless.done).toMatchObject({ kind: "stopped" });
  });
});

describe("a stream of a bun plugin", () => {
  test("whose process ends fails as crashed, with the cause", async () => {
    const running = await start("bun", never);
    const broken = await stream(running, 10, "crash");
    // What the process wrote just before its end may not have been read.
    const chunks = await Array.fromAsync(broken);
    expect(upTo(3).slice(0, chunks.length)).toEqual(chunks);
    expect(await broken.done).toMatchObject({ kind: "crashed", message: "exited with code 5" });
    await eventually(() => running.manager.view("bot")?.inFlight === 0);
  });

  test("that is cancelled while it works on the next chunk hears of it through its signal", async () => {
    const running = await start("bun");
    const stalled = await stream(running, 10, "stall");
    const iterator = stalled[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: 0 });
    await iterator.return?.();
    expect(await stalled.done).toMatchObject({ kind: "cancelled" });
    await eventually(() => logged(running, "aborted") && logged(running, "cancelled"));
  });

  test("may be any async iterable, such as a ReadableStream or one without return()", async () => {
    open = await harness({
      bot: bunPlugin(
        "bot",
        `export default definePlugin({ handleRequest: (request) => request.type === "bare"
          ? { [Symbol.asyncIterator]: () => { let n = 0; return { next: async () => n < 3 ? { done: false, value: n++ } : { done: true, value: undefined } }; } }
          : new ReadableStream({ start(c) { c.enqueue("a"); c.enqueue("b"); c.close(); } }) as never });`,
      ),
    });
    await open.manager.startAll();
    expect(await Array.fromAsync(await stream(open, 0, "bare"))).toEqual(upTo(3));
    expect(await Array.fromAsync(await stream(open, 0))).toEqual(["a", "b"]);
  });
});
