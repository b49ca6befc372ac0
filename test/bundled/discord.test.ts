import { afterEach, describe, expect, test } from "bun:test";
import { generateKeyPairSync, sign } from "node:crypto";
import type { Json, PluginDefinition } from "conductor/plugin";
import { createDiscord } from "../../plugins/discord/index.ts";
import { ask, failure, freePort, initialize, type Logged } from "./drive.ts";

const nowSeconds = 1_750_000_000;
const { publicKey: publicKeyObject, privateKey } = generateKeyPairSync("ed25519");
const publicKey = publicKeyObject.export({ format: "der", type: "spki" }).subarray(-32).toString("hex");

const signed = (body: string, timestamp: number | string = nowSeconds, key = privateKey) => ({
  signature: sign(null, Buffer.from(`${timestamp}${body}`), key).toString("hex"),
  timestamp: String(timestamp),
  body,
});

const running: PluginDefinition[] = [];
afterEach(async () => {
  for (const plugin of running.splice(0)) await plugin.shutdown?.();
});

async function started(config: Record<string, Json>, env: Record<string, string> = {}) {
  const discord = createDiscord({ nowMs: () => nowSeconds * 1_000, env });
  running.push(discord);
  const logged: Logged = [];
  await initialize(discord, "discord", config, { logged });
  return { discord, url: `http://127.0.0.1:${logged[0]?.fields.port}/interactions` };
}

const relay = (discord: PluginDefinition, payload: Json) =>
  ask(discord, { platform: "discord", type: "interaction", payload });

const post = (url: string, { signature, timestamp, body }: ReturnType<typeof signed>) =>
  fetch(url, {
    method: "POST",
    headers: { "X-Signature-Ed25519": signature, "X-Signature-Timestamp": timestamp },
    body,
  });

interface Body {
  type?: number;
  data?: Record<string, Json>;
  error?: string;
}

const read = async (response: Response): Promise<Body> => (await response.json()) as Body;

const command = (name: string, ...options: Json[]) =>
  JSON.stringify({ type: 2, data: { name, options: options.map((value) => ({ name: "text", value })) } });

const ping = JSON.stringify({ type: 1 });

describe("discord over HTTP", () => {
  test("answers a signed PING with PONG", async () => {
    const { url } = await started({ publicKey, port: 0 });
    const response = await post(url, signed(ping));
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(await response.json()).toEqual({ type: 1 });
  });

  test("answers commands with a message that may mention nobody", async () => {
    const { url } = await started({ publicKey, port: 0 });
    const echoed = await read(await post(url, signed(command("echo", "@everyone", 7))));
    expect(echoed).toEqual({ type: 4, data: { content: "@everyone 7", allowed_mentions: { parse: [] } } });
    const pong = await read(await post(url, signed(command("ping"))));
    expect(pong.data?.content).toBe("pong");
    const status = await read(await post(url, signed(command("status"))));
    expect(status.data?.content).toBe("up 0 s, 2 answered, 0 refused");
    const unknown = await read(await post(url, signed(command("dance"))));
    expect(unknown.data).toMatchObject({
      content: 'unknown command "dance"; known are ping, status, help, echo',
      flags: 64,
    });
  });

  const stranger = generateKeyPairSync("ed25519").privateKey;
  const good = signed(ping);
  const unsigned: [string, { signature: string; timestamp: string; body: string }, string][] = [
    ["another key", signed(ping, nowSeconds, stranger), "does not match"],
    ["a changed body", { ...good, body: `${ping} ` }, "does not match"],
    ["a changed timestamp", { ...good, timestamp: String(nowSeconds + 1) }, "does not match"],
    ["no signature", { ...good, signature: "" }, "missing or not 128 hex digits"],
    ["a short signature", { ...good, signature: good.signature.slice(2) }, "not 128 hex digits"],
    ["a signature of zeros", { ...good, signature: "0".repeat(128) }, "does not match"],
    ["no timestamp", { ...good, timestamp: "" }, "timestamp is missing"],
    [
      "a timestamp in words, rightly signed",
      signed(ping, "yesterday"),
      "timestamp is missing or not in seconds",
    ],
    ["a replay from 301 s ago", signed(ping, nowSeconds - 301), "301 s old: at most 300 s"],
    ["a timestamp 301 s ahead", signed(ping, nowSeconds + 301), "301 s ahead: at most 300 s"],
  ];
  test.each(unsigned)("refuses %s with 401", async (_, request, reason) => {
    const { url } = await started({ publicKey, port: 0 });
    const response = await post(url, request);
    expect(response.status).toBe(401);
    expect((await read(response)).error).toContain(reason);
  });

  test("the tolerance is the configured one, and its edge is accepted", async () => {
    const { discord } = await started({ publicKey, toleranceSeconds: 10 });
    expect((await relay(discord, signed(ping, nowSeconds - 10))).status).toBe(200);
    expect((await relay(discord, signed(ping, nowSeconds - 11))).status).toBe(401);
  });

  const malformed: [string, string, string][] = [
    ["no JSON", "{", "not JSON"],
    ["an empty body", "", "not JSON"],
    ["a list", "[1]", "must be a JSON object"],
    ["no type", "{}", "interaction type null: expected 1 (ping) or 2"],
    ["a type that it does not serve", '{"type":3}', "interaction type 3"],
    ["a command without data", '{"type":2}', "data.name must be"],
    ["a command whose name is a number", '{"type":2,"data":{"name":7}}', "data.name must be"],
  ];
  test.each(malformed)("refuses %s, rightly signed, with 400", async (_, body, reason) => {
    const { url } = await started({ publicKey, port: 0 });
    const response = await post(url, signed(body));
    expect(response.status).toBe(400);
    expect((await read(response)).error).toContain(reason);
  });

  test("refuses other methods, other paths, and bodies that are declared or found too large", async () => {
    const { url } = await started({ publicKey, port: 0 });
    const got = await fetch(url);
    expect([got.status, got.headers.get("allow")]).toEqual([405, "POST"]);
    expect((await read(got)).error).toContain("expected POST");
    expect((await fetch(new URL("/admin", url), { method: "POST" })).status).toBe(404);

    const declared = await fetch(url, { method: "POST", body: "x".repeat(64 * 1024 + 1) });
    expect([declared.status, (await read(declared)).error]).toEqual([
      413,
      "the body is larger than 65536 bytes",
    ]);
    const chunks = new ReadableStream({
      start(controller) {
        for (let index = 0; index < 65; index++) controller.enqueue(new Uint8Array(1024));
        controller.close();
      },
    });
    const found = await fetch(url, { method: "POST", body: chunks });
    expect([found.status, (await read(found)).error]).toEqual([413, "the body is larger than 65536 bytes"]);
    const largest = await fetch(url, { method: "POST", body: "x".repeat(64 * 1024) });
    expect(largest.status).toBe(401);
  });

  test("without a key it answers 503 and its health says which key to set", async () => {
    const { discord, url } = await started({ port: 0 });
    expect((await post(url, signed(ping))).status).toBe(503);
    const health = await discord.healthCheck?.();
    expect(health?.status).toBe("degraded");
    expect(health?.detail).toContain("set plugins.config.discord.publicKey (or DISCORD_PUBLIC_KEY)");
  });

  test("a port that is taken makes it unhealthy with the remedy, until it is free", async () => {
    const holder = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const port = Number(holder.port);
    const { discord } = await started({ publicKey, port });
    const taken = await discord.healthCheck?.();
    expect(taken?.status).toBe("unhealthy");
    expect(taken?.detail).toContain(`127.0.0.1:${port}`);
    expect(taken?.detail).toContain("set plugins.config.discord.port");
    await holder.stop(true);
    expect((await discord.healthCheck?.())?.status).toBe("healthy");
    expect((await post(`http://127.0.0.1:${port}/`, signed(ping))).status).toBe(200);
  });

  test("shutdown frees the port, and a later health check does not take it again", async () => {
    const port = await freePort();
    const { discord } = await started({ publicKey, port });
    expect((await discord.healthCheck?.())?.status).toBe("healthy");
    await discord.shutdown?.();
    await discord.healthCheck?.();
    const again = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("free") });
    expect(await (await fetch(again.url)).text()).toBe("free");
    await again.stop(true);
  });
});

describe("discord through the conductor", () => {
  const plain: [string, Json, string][] = [
    ["a text with !", "!ping", "pong"],
    ["a bare word", "ping", "pong"],
    ["capitals and a slash", "/PING", "pong"],
    ["an object", { command: "ping" }, "pong"],
    ["an object with a line", { command: "!echo a  b" }, "a b"],
    ["an object with its text apart", { command: "echo", text: "a  b" }, "a  b"],
    ["Discord's own name for the line", { content: "!echo hi" }, "hi"],
    ["echo of nothing", "!echo", "nothing to echo: give a text"],
    [
      "a name out of Object.prototype",
      "!constructor",
      'unknown command "constructor"; known are ping, status, help, echo',
    ],
  ];
  test.each(plain)("answers %s without any key", async (_, payload, reply) => {
    const { discord } = await started({});
    expect((await ask(discord, { platform: "discord", payload })).reply).toBe(reply);
  });

  test("help names every command, and an echo is cut to what Discord takes", async () => {
    const { discord } = await started({});
    const { reply: help } = await ask(discord, { platform: "discord", payload: "!help" });
    for (const name of ["ping", "status", "help", "echo"]) expect(help).toContain(`/${name}: `);
    const payload = { command: "echo", text: "x".repeat(3_000) };
    const { reply } = await ask(discord, { platform: "discord", payload });
    expect(String(reply)).toHaveLength(2_000);
  });

  const mistakes: [string, string, Json, string][] = [
    ["no payload", "message", null, "payload must be a text"],
    ["an empty text", "message", " ", "payload must be a text"],
    ["a command that is a number", "message", { command: 7 }, "payload must be a text"],
    ["an unknown type", "dance", null, 'type "dance": expected message, command or interaction'],
    ["an interaction without payload", "interaction", null, "payload must be { signature, timestamp, body }"],
    [
      "an interaction with a parsed body",
      "interaction",
      { signature: "", timestamp: "", body: {} },
      "must be texts",
    ],
  ];
  test.each(mistakes)("%s is answered with what was expected", async (_, type, payload, reason) => {
    const { discord } = await started({ publicKey });
    const answer = await ask(discord, { platform: "discord", type, payload });
    expect(answer).toMatchObject({
      error: { code: "bad-request", message: expect.stringContaining(reason) },
    });
  });

  test("a raw interaction is verified and answered with the status for Discord", async () => {
    const { discord } = await started({}, { DISCORD_PUBLIC_KEY: publicKey.toUpperCase() });
    expect((await discord.healthCheck?.())?.status).toBe("healthy");
    expect(await relay(discord, signed(ping))).toEqual({ status: 200, body: { type: 1 } });
    expect(await relay(discord, { ...signed(ping), body: "{}" })).toMatchObject({ status: 401 });
    expect(await relay(discord, signed("x".repeat(65_537)))).toMatchObject({ status: 413 });
  });

  const settings: [Record<string, Json>, Record<string, string>, string][] = [
    [{ publicKey: "abc" }, {}, 'plugins.config.discord.publicKey: "abc": expected 64 hex digits'],
    [{ publicKey: 12 }, {}, "plugins.config.discord.publicKey: 12: expected 64 hex digits"],
    [{}, { DISCORD_PUBLIC_KEY: "zz" }, 'environment variable DISCORD_PUBLIC_KEY: "zz": expected 64 hex'],
    [{ port: 70_000 }, {}, "plugins.config.discord.port: 70000: expected a port from 1 to 65535"],
    [{ port: "8080" }, {}, 'plugins.config.discord.port: "8080": expected a port'],
    [
      { toleranceSeconds: 1 },
      {},
      "plugins.config.discord.toleranceSeconds: 1: expected a whole number from 5",
    ],
    [{ publickey: "" }, {}, "plugins.config.discord.publickey: no such key; expected one of publicKey, port"],
  ];
  test.each(settings)("refuses the setting %j %j", async (config, env, reason) => {
    expect(await failure(() => started(config, env))).toContain(reason);
  });
});
