import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { readGguf } from "../../src/models/gguf.ts";
import { openBytes } from "../../src/models/gguf-bytes.ts";
import { modelBytes } from "../../src/models/gguf-footprint.ts";
import { LlamaDriver, type LlamaSettings } from "../../src/models/llama-driver.ts";
import { type EngineLimits, ManagedEngine } from "../../src/models/managed-engine.ts";
import { ask, engineContract, never, type Subject, taken } from "./engine-contract.ts";
import { type GgufShape, makeGguf } from "./make-gguf.ts";
import { nodeLlamaCpp } from "./node-llama-cpp.ts";
import { ManagedPluginCall } from "./plugin-call.ts";

const clock = new SystemClock();
// Each loads real llama.cpp, some several times, on a machine that may be busy.
setDefaultTimeout(60_000);
const library = nodeLlamaCpp();
if ("reason" in library) console.error(`llama: real models are skipped: ${library.reason}`);
const installed = "folder" in library ? library.folder : "";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "conductor-llama-")));
chmodSync(folder, 0o755);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tiny: GgufShape = { dim: 64, layers: 2, vocab: 1_024 };
const model = (name: string, shape: GgufShape): string => {
  const path = join(folder, name);
  makeGguf(path, shape);
  return path;
};

let states = 0;
const stateFolder = () => join(folder, `state-${states++}`);

const engineOf = (
  plugin: ManagedPluginCall,
  settings: Partial<LlamaSettings>,
  limits: Partial<EngineLimits> = {},
) =>
  new ManagedEngine(
    new LlamaDriver(
      { file: join(folder, "tiny.gguf"), contextTokens: 512, threads: 1, gpuLayers: 0, ...settings },
      { plugin, openBytes },
    ),
    clock,
    limits,
  );

beforeAll(() => {
  model("tiny.gguf", tiny);
});

describe.skipIf(installed === "")("on real llama.cpp", () => {
  engineContract("llama", async (): Promise<Subject> => {
    const plugin = await ManagedPluginCall.open(stateFolder(), installed);
    return {
      engine: engineOf(plugin, {}),
      proof: "process-gone",
      measures: true,
      mostGenerations: 1,
      pids: () => plugin.pids(),
      underWay: () => null,
      end: () => plugin.end(),
    };
  });

  let plugin: ManagedPluginCall | null = null;
  const opened = async () => {
    plugin = await ManagedPluginCall.open(stateFolder(), installed);
    return plugin;
  };
  afterEach(async () => {
    await plugin?.end();
    plugin = null;
  });

  test("an architecture that llama.cpp does not know, by its name", async () => {
    const file = model("unknown.gguf", { ...tiny, architecture: "abacus" });
    const used = await opened();
    const engine = engineOf(used, { file });
    expect(await engine.load()).toMatchObject({
      ok: false,
      failure: { code: "unsupported", message: "llama.cpp does not know the architecture abacus" },
    });
    expect(used.pids()).toEqual([]);
  });

  test("a prompt longer than the context is refused, and the next one is answered", async () => {
    const engine = engineOf(await opened(), { contextTokens: 256 });
    expect(await engine.load()).toMatchObject({ ok: true, contextTokens: 256 });
    const long = await taken(engine.generate(ask({ input: { prompt: "ab ".repeat(300) } }), never));
    expect(long.end.failure).toMatchObject({ code: "bad-request" });
    expect(long.end.failure?.message).toContain("and the context 256");
    expect((await taken(engine.generate(ask(), never))).end.finishReason).toBe("length");
    await engine.unload();
  });

  test("no more context than the model was trained with", async () => {
    const engine = engineOf(await opened(), { contextTokens: 100_000 });
    expect(await engine.load()).toMatchObject({ ok: true, contextTokens: 512 });
    await engine.unload();
  });

  test("killed from outside it is seen at once, in the middle of an answer too, and it loads again", async () => {
    const used = await opened();
    const engine = engineOf(used, {});
    await engine.load();
    const failed = Promise.withResolvers<void>();
    engine.onChange((state) => state === "failed" && failed.resolve());
    let killed = false;
    const parts = engine.generate(ask({ maxTokens: 400 }), never);
    const { end } = await taken({
      async *[Symbol.asyncIterator]() {
        for await (const part of parts) {
          if (!killed) for (const pid of used.pids()) process.kill(pid, "SIGKILL");
          killed = true;
          yield part;
        }
      },
    });
    expect([end.finishReason, end.failure?.code]).toEqual(["error", "crashed"]);
    await failed.promise;
    expect(used.pids()).toEqual([]);
    expect(await engine.load()).toMatchObject({ ok: true });
    await engine.unload();
  });

  test("shed by others it is failed, not ready without a process", async () => {
    const used = await opened();
    const engine = engineOf(used, {});
    await engine.load();
    await used.shed();
    expect([engine.state, engine.failure?.code, used.pids()]).toEqual(["failed", "crashed", []]);
    expect(await engine.load()).toMatchObject({ ok: true });
    await engine.unload();
  });

  test("what it takes is what the header foretells, and all of it comes back", async () => {
    const shape = { dim: 512, layers: 6, vocab: 4_096, contextTokens: 2_048 };
    const file = model("larger.gguf", shape);
    const bytes = await openBytes(file);
    const foretold = modelBytes(await readGguf(bytes), 2_048) ?? 0;
    await bytes.close();
    const used = await opened();
    const small = engineOf(used, {});
    const base = await small.load();
    await small.unload();
    const large = engineOf(used, { file, contextTokens: 2_048 });
    const loaded = await large.load();
    if (!base.ok || !loaded.ok) throw new Error("a model did not load");
    const more = (loaded.footprintBytes ?? 0) - (base.footprintBytes ?? 0);
    // Weights and cache, give or take the buffers of one step.
    expect(more / foretold).toBeGreaterThan(0.75);
    expect(more / foretold).toBeLessThan(1.4);
    expect(await large.unload()).toMatchObject({ ok: true, proof: "process-gone" });
    expect([used.pids(), used.footprintBytes()]).toEqual([[], null]);
    rmSync(file);
  });
});

describe("llama without a model that can be loaded", () => {
  let plugin: ManagedPluginCall;
  let state = "";
  beforeAll(async () => {
    state = stateFolder();
    plugin = await ManagedPluginCall.open(state, "");
  });
  afterAll(() => plugin.end());

  test("a file that does not exist, a folder, and one that is cut off cost no process", async () => {
    const cut = join(folder, "cut.gguf");
    writeFileSync(cut, readFileSync(join(folder, "tiny.gguf")).subarray(0, 500_000));
    const cases: [string, string][] = [
      [join(folder, "none.gguf"), "model-missing"],
      [folder, "model-missing"],
      [cut, "model-broken"],
    ];
    for (const [file, code] of cases) {
      let started = false;
      const engine = engineOf(plugin, { file });
      engine.onChange(() => {
        started ||= plugin.pids().length > 0;
      });
      expect(await engine.load()).toMatchObject({ ok: false, failure: { code } });
      expect([started, plugin.pids()]).toEqual([false, []]);
    }
  });

  test("where node-llama-cpp is not installed, the one command that installs it is told, and it works", async () => {
    const engine = engineOf(plugin, {});
    const result = await engine.load();
    if (result.ok) throw new Error("it loaded");
    expect(result.failure.code).toBe("not-installed");
    const own = join(state, "llama");
    expect(result.failure.remedy).toMatch(
      /^run: BUN_BE_BUN=1 \S*conductor add --cwd \S+ --omit=optional --ignore-scripts node-llama-cpp@3\.22\.1/,
    );
    expect(result.failure.remedy).toContain(` --cwd ${own} `);
    expect([engine.state, plugin.pids()]).toEqual(["failed", []]);
    if (installed === "") return;
    const command = result.failure.remedy.replace(/^run: /, "");
    const done = Bun.spawnSync(["sh", "-c", command], { stdout: "ignore", stderr: "pipe" });
    expect([done.exitCode, done.exitCode === 0 || done.stderr.toString()]).toEqual([0, true]);
    expect(existsSync(join(own, "node_modules/node-llama-cpp"))).toBe(true);
    expect(await engine.load()).toMatchObject({ ok: true });
    await engine.unload();
  }, 120_000);
});
