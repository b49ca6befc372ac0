import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { CommandDriver, type CommandSettings } from "../../src/models/command-driver.ts";
import { freePort } from "../../src/models/free-port.ts";
import { httpCall } from "../../src/models/http-call.ts";
import { type EngineLimits, ManagedEngine } from "../../src/models/managed-engine.ts";
import { OllamaDriver } from "../../src/models/ollama-driver.ts";
import { OpenaiDriver } from "../../src/models/openai-driver.ts";
import { ask, engineContract, never, type Subject, taken } from "./engine-contract.ts";
import { TestProcessHost } from "./process-host.ts";

const clock = new SystemClock();
// Each starts programs, on a machine that may be busy.
setDefaultTimeout(30_000);
const program = join(import.meta.dir, "model-server-process.ts");
const http = { clock, call: httpCall, environment: {} };

const speakOpenai = (baseUrl: string) =>
  new OpenaiDriver(
    {
      baseUrl: `${baseUrl}/v1`,
      model: null,
      keyVariable: null,
      mostGenerations: 2,
      maxTokensKey: "max_tokens",
    },
    http,
  );

const speakOllama = (baseUrl: string) =>
  new OllamaDriver({ baseUrl, model: "words", contextTokens: null, keepAlive: -1, mostGenerations: 2 }, http);

function engineOf(
  host: TestProcessHost,
  more: readonly string[] = [],
  settings: Partial<CommandSettings> = {},
  limits: Partial<EngineLimits> = {},
  speak: typeof speakOpenai | typeof speakOllama = speakOpenai,
) {
  const driver = new CommandDriver(
    {
      name: "words",
      command: [process.execPath, "--no-env-file", program, "--port", "{port}", ...more],
      environment: {},
      healthPath: "/health",
      graceMs: 2_000,
      mostGenerations: 2,
      ...settings,
    },
    { ...http, host, freePort, speak },
  );
  return new ManagedEngine(driver, clock, limits);
}

const contract = (name: string, speak: typeof speakOpenai | typeof speakOllama) =>
  engineContract(name, async (): Promise<Subject> => {
    const host = new TestProcessHost();
    return {
      engine: engineOf(host, ["--child"], {}, {}, speak),
      proof: "process-gone",
      measures: true,
      mostGenerations: 2,
      pids: () => host.pids(),
      underWay: () => null,
      end: async () => undefined,
    };
  });

contract("command, spoken to as OpenAI's", speakOpenai);
contract("command, spoken to as ollama", speakOllama);

describe("command", () => {
  let host = new TestProcessHost();
  afterEach(() => {
    const left = host.pids();
    host = new TestProcessHost();
    expect(left).toEqual([]);
  });

  test("is ready when its health path says so, and not before", async () => {
    const engine = engineOf(host, ["--busy", "3"]);
    expect(await engine.load()).toMatchObject({ ok: true, contextTokens: 4_096 });
    await engine.unload();
  });

  test("the footprint is that of its processes", async () => {
    const engine = engineOf(host, ["--hold", "64"]);
    const loaded = await engine.load();
    const bytes = loaded.ok ? (loaded.footprintBytes ?? 0) : 0;
    expect(bytes).toBeGreaterThan(64 * 2 ** 20);
    expect(bytes).toBeLessThan(300 * 2 ** 20);
    await engine.unload();
  });

  test("one that does not end when asked is killed, with what it started", async () => {
    const engine = engineOf(host, ["--deaf", "--child"], { graceMs: 100 });
    await engine.load();
    expect(host.pids().length).toBe(2);
    expect(await engine.unload()).toMatchObject({ ok: true, proof: "process-gone" });
  });

  test("a program that does not exist", async () => {
    const engine = engineOf(host, [], { command: ["no-such-server", "{port}"] });
    expect(await engine.load()).toMatchObject({
      ok: false,
      failure: { code: "not-installed", remedy: "install no-such-server, or correct the command" },
    });
  });

  test("one that ends while it loads fails at once, with its last words, and the next load starts another", async () => {
    const engine = engineOf(host, ["--crash", "start"]);
    for (const started of [1, 2]) {
      expect(await engine.load()).toMatchObject({
        ok: false,
        failure: {
          code: "crashed",
          message: "words exited with 3; last words: no space left for the tensors",
        },
      });
      expect([engine.state, host.started, host.pids()]).toEqual(["failed", started, []]);
    }
  });

  test("one that never listens is given up in time, and nothing of it stays", async () => {
    const engine = engineOf(host, ["--never", "--child"], {}, { loadMs: 1_500 });
    expect(await engine.load()).toMatchObject({ ok: false, failure: { code: "not-ready" } });
    expect([engine.state, host.started]).toEqual(["failed", 1]);
  });

  test("one without that health path says which path to correct", async () => {
    const engine = engineOf(host, [], { healthPath: "/ready" });
    expect(await engine.load()).toMatchObject({
      ok: false,
      failure: { code: "bad-answer", message: "words listens, and answers 404 at /ready" },
    });
  });

  test("its end in the middle of an answer is told as what it is", async () => {
    const engine = engineOf(host, ["--crash", "generate", "--child"]);
    await engine.load();
    const failed = Promise.withResolvers<string>();
    engine.onChange((state, failure) => {
      if (state === "failed") failed.resolve(failure?.code ?? "none");
    });
    const { end } = await taken(engine.generate(ask({ maxTokens: 100_000 }), never));
    expect([end.finishReason, end.failure?.code]).toEqual(["error", "crashed"]);
    expect(end.failure?.message).toContain("exited with 3; last words: no space left");
    expect(await failed.promise).toBe("crashed");
    expect(await engine.health()).toMatchObject({ status: "unhealthy", failure: { code: "crashed" } });
    expect(await engine.unload()).toMatchObject({ ok: true });
    expect(engine.state).toBe("unloaded");
  });

  test("after it was killed from outside it loads again", async () => {
    const engine = engineOf(host);
    await engine.load();
    const failed = Promise.withResolvers<void>();
    engine.onChange((state) => state === "failed" && failed.resolve());
    const [pid = 0] = host.pids();
    process.kill(pid, "SIGKILL");
    await failed.promise;
    expect(engine.failure?.message).toContain("SIGKILL");
    expect(await engine.load()).toMatchObject({ ok: true });
    await engine.unload();
  });

  test("the port reaches variables too", async () => {
    const settings = {
      command: ["sh", "-c", `exec "$0" --no-env-file "$1" --port "$MODEL_PORT"`, process.execPath, program],
      environment: { MODEL_PORT: "{port}" },
    };
    const engine = engineOf(host, [], settings);
    expect(await engine.load()).toMatchObject({ ok: true });
    await engine.unload();
  });
});
