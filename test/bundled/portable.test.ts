import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";

const plugins = join(import.meta.dir, "../../plugins");
const names = ["android", "discord", "stubs", "voice"];

/** A host in the small: it provides "conductor/plugin", loads one entry, asks one thing, prints the answer. */
const host = `
import { plugin } from "bun";
plugin({ name: "sdk", setup: (build) => {
  build.module("conductor/plugin", () => ({ exports: { definePlugin: (it) => it }, loader: "object" }));
} });
const [folder, name] = process.argv.slice(2);
const { default: definition } = await import(folder + "/" + name + "/index.ts");
const config = name === "android" ? { port: 0 } : {};
await definition.initialize(config, { name, folder, dataFolder: null, log() {} });
const health = await definition.healthCheck();
const request = { id: "1", platform: name, type: "message", payload: name === "voice" ? { text: 5 } : "ping" };
let answer;
try {
  answer = await definition.handleRequest(request, { signal: new AbortController().signal, deadlineMs: 1000 });
} catch (error) { answer = { failed: error.message }; }
await definition.shutdown?.();
console.log(JSON.stringify({ health, answer }));
`;

describe("the bundled plugins, copied to a folder of the user's", () => {
  let copies = "";
  beforeAll(async () => {
    copies = mkdtempSync(join(tmpdir(), "bundled-test-"));
    for (const name of names) cpSync(join(plugins, name), join(copies, name), { recursive: true });
    await Bun.write(join(copies, "host.ts"), host);
  });
  afterAll(() => rmSync(copies, { recursive: true, force: true }));

  const installed = Bun.which("espeak-ng") !== null;
  const expected: Record<string, { health: string; answer: unknown }> = {
    android: { health: "healthy", answer: { delivered: 0, queued: true } },
    discord: { health: "degraded", answer: { reply: "pong" } },
    stubs: { health: "healthy", answer: { unavailable: null } },
    voice: installed
      ? { health: "healthy", answer: { error: { code: "bad-request" } } }
      : { health: "unhealthy", answer: { failed: expect.stringContaining("apt-get install espeak-ng") } },
  };
  test.each(names)("%s starts, answers and ends by itself after shutdown", async (name) => {
    const child = Bun.spawn([process.execPath, join(copies, "host.ts"), copies, name], {
      cwd: copies,
      env: { PATH: process.env.PATH ?? "", BUN_BE_BUN: "1" },
      stdout: "pipe",
      stderr: "pipe",
      timeout: 10_000,
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const { health, answer } = JSON.parse(stdout);
    expect(health.status).toBe(expected[name]?.health);
    expect(answer).toMatchObject(expected[name]?.answer as object);
  });

  test.each(names)("%s imports the SDK, built-ins and its own files only", (name) => {
    const transpiler = new Bun.Transpiler({ loader: "ts" });
    for (const file of readdirSync(join(plugins, name)).filter((file) => file.endsWith(".ts")))
      for (const { path } of transpiler.scanImports(readFileSync(join(plugins, name, file), "utf8")))
        expect(path).toMatch(/^(conductor\/plugin|node:[a-z/]+|\.\/[a-z-]+\.ts)$/);
  });

  test.each(names)("%s has a manifest that names it and says what it needs", (name) => {
    const text = readFileSync(join(plugins, name, "plugin.yaml"), "utf8");
    const manifest = parse(text);
    expect(manifest).toMatchObject({
      name,
      version: "1.0.0",
      platform: name,
      runtime: "bun",
      entry: "index.ts",
      start: "eager",
      health: { kind: "call" },
    });
    expect(Object.keys(manifest.permissions)).toEqual(["env", "net", "write"]);
    expect(Object.keys(manifest.limits)).toEqual(["memory", "cpu", "concurrency", "requestTimeout"]);
  });
});
