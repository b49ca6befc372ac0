import { afterEach, describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import type { Json, PluginDefinition } from "conductor/plugin";
import { createAndroid } from "../../plugins/android/index.ts";
import { ask, eventually, failure, freePort, initialize } from "./drive.ts";

const token = "0123456789abcdef-token";
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(config: Record<string, Json> = {}, env: Record<string, string> = {}) {
  const time = { nowMs: 1_750_000_000_000 };
  const android = createAndroid({ nowMs: () => time.nowMs, env });
  cleanups.push(() => android.shutdown?.());
  await initialize(android, "android", { port: 0, ...config });
  const { port } = await ask(android, { platform: "android", type: "status" });
  return { android, time, port: Number(port) };
}

const push = (android: PluginDefinition, payload: Json, id = "p") =>
  ask(android, { platform: "android", type: "push", payload, id });
const status = (android: PluginDefinition) => ask(android, { platform: "android", type: "status" });

/** An app: its frames in order, and how its connection ended. */
async function connect(port: number, device: string, headers: Record<string, string> = {}) {
  const frames: Record<string, Json>[] = [];
  const ended = Promise.withResolvers<{ code: number; reason: string }>();
  const opened = Promise.withResolvers<void>();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/connect?device=${device}`, { headers });
  socket.onopen = () => opened.resolve();
  socket.onmessage = ({ data }) => frames.push(JSON.parse(String(data)));
  socket.onclose = ({ code, reason }) => {
    opened.reject(new Error(`closed with ${code}`));
    ended.resolve({ code, reason });
  };
  cleanups.push(() => socket.close());
  await opened.promise;
  const next = async (count = 1) => {
    await eventually(() => frames.length >= count);
    return frames.splice(0, count);
  };
  return { socket, frames, next, ended: ended.promise };
}

const upgrade = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};
/** What the handshake is refused with. */
async function refused(port: number, headers: Record<string, string> = {}, path = "/connect?device=a") {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { ...upgrade, ...headers } });
  const { error } = (await response.json()) as { error: string };
  return { status: response.status, error, headers: response.headers };
}

/** A client that shakes hands and then never reads: neither pushes nor pings. */
async function connectDeaf(port: number, device: string) {
  const ended = Promise.withResolvers<void>();
  const request = [`GET /connect?device=${device} HTTP/1.1`, `host: 127.0.0.1:${port}`];
  for (const [name, value] of Object.entries(upgrade)) request.push(`${name}: ${value}`);
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (opened) => {
        opened.write(`${request.join("\r\n")}\r\n\r\n`);
        opened.pause();
      },
      data: () => {},
      close: () => ended.resolve(),
    },
  });
  cleanups.push(() => socket.terminate());
  return { ended: ended.promise };
}

describe("android pushes", () => {
  test("reach every connected client, or the one device that is named", async () => {
    const { android, port } = await started();
    const [phone, tablet] = [await connect(port, "phone"), await connect(port, "tablet")];
    await eventually(async () => ((await status(android)).devices as Json[]).length === 2);
    expect(await push(android, { text: "hi" }, "1")).toEqual({
      delivered: 2,
      devices: ["phone", "tablet"],
      queued: false,
    });
    const frame = { type: "push", id: "1", at: "2025-06-15T15:06:40.000Z", payload: { text: "hi" } };
    expect(await phone.next()).toEqual([frame]);
    expect(await tablet.next()).toEqual([frame]);
    expect(await push(android, { device: "tablet", text: "you" })).toMatchObject({ devices: ["tablet"] });
    expect((await tablet.next())[0]?.payload).toEqual({ device: "tablet", text: "you" });
    expect(phone.frames).toEqual([]);
  });

  test("the default type of a request is a push", async () => {
    const { android } = await started();
    expect(await ask(android, { platform: "android", payload: "hi" })).toMatchObject({ queued: true });
  });

  test("with no client wait, and are delivered in order at the next connect, once", async () => {
    const { android, port } = await started();
    for (const id of ["1", "2", "3"]) expect(await push(android, id, id)).toMatchObject({ queued: true });
    const phone = await connect(port, "phone");
    expect((await phone.next(3)).map(({ payload }) => payload)).toEqual(["1", "2", "3"]);
    expect(await status(android)).toMatchObject({ waiting: 0, waitingBytes: 0, dropped: 0 });
    const tablet = await connect(port, "tablet");
    await push(android, { device: "tablet", last: true });
    expect((await tablet.next())[0]?.payload).toEqual({ device: "tablet", last: true });
  });

  test("for a device that is away wait for that device", async () => {
    const { android, port } = await started();
    const phone = await connect(port, "phone");
    expect(await push(android, { device: "tablet" }, "t")).toMatchObject({
      delivered: 0,
      queued: true,
      waiting: 1,
    });
    const tablet = await connect(port, "tablet");
    expect((await tablet.next())[0]?.id).toBe("t");
    expect(phone.frames).toEqual([]);
  });

  test("that wait are bounded in count: the oldest go, and the answer says so", async () => {
    const { android, port } = await started();
    for (let index = 0; index < 100; index++) await push(android, index);
    expect(await push(android, 100)).toMatchObject({ queued: true, waiting: 100, dropped: 1 });
    const phone = await connect(port, "phone");
    const payloads = (await phone.next(100)).map(({ payload }) => payload);
    expect([payloads[0], payloads[99]]).toEqual([1, 100]);
  });

  test("that wait are bounded in bytes", async () => {
    const { android } = await started();
    // 60,000 characters and some 70 of frame: four fit into 262,144 bytes, five do not.
    for (let index = 0; index < 4; index++)
      expect(await push(android, "x".repeat(60_000))).toMatchObject({ dropped: 0 });
    const answer = await push(android, "x".repeat(60_000));
    expect(answer).toMatchObject({ waiting: 4, dropped: 1 });
    expect(Number(answer.waitingBytes)).toBeLessThanOrEqual(256 * 1024);
  });

  test("that wait for more than an hour are dropped", async () => {
    const { android, time, port } = await started();
    await push(android, "old");
    time.nowMs += 1;
    await push(android, "young");
    time.nowMs += 3_600_000;
    expect(await status(android)).toMatchObject({ waiting: 1, dropped: 1 });
    const phone = await connect(port, "phone");
    expect((await phone.next())[0]?.payload).toBe("young");
  });

  const mistakes: [string, string, Json, string][] = [
    ["no payload", "push", null, "expected something to push"],
    ["a device with a slash", "push", { device: "a/b" }, "payload.device: expected 1 to 64"],
    ["a device that is a number", "push", { device: 7 }, "payload.device: expected 1 to 64"],
    ["a payload over 64 KiB", "push", "x".repeat(65_536), "at most 65536"],
    ["an unknown type", "dance", null, 'type "dance": expected push, message, inbox or status'],
  ];
  test.each(mistakes)("%s is answered with what was expected", async (_, type, payload, reason) => {
    const { android } = await started();
    const answer = await ask(android, { platform: "android", type, payload });
    expect(answer).toMatchObject({
      error: { code: "bad-request", message: expect.stringContaining(reason) },
    });
    expect(await status(android)).toMatchObject({ waiting: 0 });
  });
});

describe("android's inbox", () => {
  const inbox = (android: PluginDefinition, payload: Json = null) =>
    ask(android, { platform: "android", type: "inbox", payload });

  test("keeps and acknowledges what the app says, a repeated message once", async () => {
    const { android, port } = await started();
    const phone = await connect(port, "phone");
    const message = JSON.stringify({ type: "message", id: "m1", payload: { text: "hello" } });
    phone.socket.send(message);
    phone.socket.send(message);
    expect(await phone.next(2)).toEqual([
      { type: "ack", id: "m1" },
      { type: "ack", id: "m1" },
    ]);
    const kept = { id: "m1", device: "phone", at: "2025-06-15T15:06:40.000Z", payload: { text: "hello" } };
    expect(await inbox(android)).toEqual({ messages: [kept], dropped: 0 });
    expect(await inbox(android, { clear: true })).toEqual({ messages: [kept], dropped: 0 });
    expect(await inbox(android)).toEqual({ messages: [], dropped: 0 });
  });

  test("is bounded: the oldest messages go", async () => {
    const { android, port } = await started();
    const phone = await connect(port, "phone");
    for (let index = 0; index < 103; index++)
      phone.socket.send(JSON.stringify({ type: "message", id: `m${index}` }));
    await phone.next(103);
    const { messages, dropped } = await inbox(android);
    expect(dropped).toBe(3);
    expect((messages as { id: string }[]).map(({ id }) => id).at(0)).toBe("m3");
    expect(messages).toHaveLength(100);
  });

  const frames: [string, string | Uint8Array, Json][] = [
    ["a ping", '{"type":"ping"}', { type: "pong" }],
    ["no JSON", "{", { type: "error", error: expect.stringContaining("not JSON") as unknown as Json }],
    ["a list", "[]", { type: "error", error: "expected a JSON object" }],
    ["binary", new Uint8Array([1]), { type: "error", error: "expected a text frame with JSON" }],
    ["another type", '{"type":"x"}', { type: "error", error: 'type: expected "message" or "ping"' }],
    [
      "a message without id",
      '{"type":"message"}',
      { type: "error", error: "id: expected a text of 1 to 64 characters" },
    ],
  ];
  test.each(frames)("answers %s and stays connected", async (_, frame, answer) => {
    const { android, port } = await started();
    const phone = await connect(port, "phone");
    phone.socket.send(frame);
    expect(await phone.next()).toEqual([answer] as Record<string, Json>[]);
    expect(await status(android)).toMatchObject({ devices: ["phone"] });
    expect((await inbox(android)).messages).toEqual([]);
  });

  test("a frame over 16 KiB closes the connection and is not kept", async () => {
    const { android, port } = await started();
    const phone = await connect(port, "phone");
    phone.socket.send(JSON.stringify({ type: "message", id: "m", payload: "x".repeat(16 * 1024) }));
    await phone.ended;
    expect((await inbox(android)).messages).toEqual([]);
  });
});

describe("android's clients", () => {
  test("that never read are closed once 1 MiB waits for them, and others are not", async () => {
    const { android, port } = await started();
    const deaf = await connectDeaf(port, "deaf");
    const phone = await connect(port, "phone");
    await eventually(async () => ((await status(android)).devices as Json[]).length === 2);
    // What the kernel buffers comes first: a few MiB on loopback, depending on its settings.
    for (let index = 0; index < 1_000; index++) {
      const { devices } = await push(android, "x".repeat(60_000), `${index}`);
      if (!(devices as string[]).includes("deaf")) break;
      await phone.next();
    }
    await eventually(async () => !((await status(android)).devices as Json[]).includes("deaf"));
    await phone.next();
    expect((await status(android)).devices).toEqual(["phone"]);
    expect(await push(android, { device: "phone", last: true })).toMatchObject({ delivered: 1 });
    void deaf;
  });

  test("that answer no ping are closed after idleSeconds; one that does stays", async () => {
    const { android, port } = await started({ idleSeconds: 8 });
    const beginMs = performance.now();
    await connectDeaf(port, "deaf");
    await connect(port, "phone");
    await eventually(async () => ((await status(android)).devices as Json[]).length === 2);
    await eventually(async () => !((await status(android)).devices as Json[]).includes("deaf"), 14_000);
    expect(performance.now() - beginMs).toBeGreaterThan(6_000);
    expect((await status(android)).devices).toEqual(["phone"]);
  }, 20_000);

  test("of one device: the newer connection takes the older one's place, even when all places are taken", async () => {
    const { android, port } = await started({ maxClients: 1 });
    const older = await connect(port, "phone");
    const newer = await connect(port, "phone");
    expect(await older.ended).toEqual({ code: 4000, reason: "replaced by a newer connection" });
    expect(await push(android, "hi")).toMatchObject({ delivered: 1 });
    expect((await newer.next())[0]?.payload).toBe("hi");
    const { status: code, error } = await refused(port, {}, "/connect?device=tablet");
    expect(code).toBe(503);
    expect(error).toContain("1 clients are connected already");
  });

  test("that left are no longer counted as reached", async () => {
    const { android, port } = await started();
    const phone = await connect(port, "phone");
    phone.socket.close();
    await phone.ended;
    await eventually(async () => ((await status(android)).devices as Json[]).length === 0);
    expect(await push(android, "hi")).toMatchObject({ delivered: 0, queued: true });
  });

  test("need the token when there is one, wherever it comes from", async () => {
    for (const { port } of [await started({ token }), await started({}, { ANDROID_TOKEN: token })]) {
      for (const headers of [{}, { authorization: `Bearer ${token}x` }, { authorization: token }]) {
        const answer = await refused(port, headers);
        expect(answer.status).toBe(401);
        expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      }
      const phone = await connect(port, "phone", { authorization: `Bearer ${token}` });
      expect(phone.socket.readyState).toBe(WebSocket.OPEN);
    }
  });

  test("without a token: no web page and nobody behind a proxy", async () => {
    const { port } = await started();
    for (const header of ["origin", "forwarded", "x-forwarded-for"]) {
      const answer = await refused(port, { [header]: "http://evil.example" });
      expect([answer.status, answer.error]).toEqual([403, expect.stringContaining(`header ${header}`)]);
    }
  });

  const outer = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === "IPv4" && !address.internal)?.address;
  test.skipIf(outer === undefined)(
    `without a token: nobody from another address than loopback${outer ? "" : " (skipped: this host has no other)"}`,
    async () => {
      const { port } = await started({ host: "0.0.0.0" });
      const answer = await fetch(`http://${outer}:${port}/connect?device=a`, { headers: upgrade });
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain("set the plugin's token");
    },
  );

  test("get a clear answer for a wrong path, device or protocol", async () => {
    const { port } = await started();
    expect(await refused(port, {}, "/")).toMatchObject({ status: 404 });
    for (const path of [
      "/connect",
      "/connect?device=",
      "/connect?device=a%2Fb",
      `/connect?device=${"a".repeat(65)}`,
    ])
      expect(await refused(port, {}, path)).toMatchObject({ status: 400 });
    const plain = await fetch(`http://127.0.0.1:${port}/connect?device=a`);
    expect([plain.status, plain.headers.get("upgrade")]).toEqual([426, "websocket"]);
  });
});

describe("android's life", () => {
  test("a port that is taken makes it unhealthy with the remedy, pushes wait, and it recovers", async () => {
    const holder = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const taken = Number(holder.port);
    const { android } = await started({ port: taken });
    const health = await android.healthCheck?.();
    expect(health?.status).toBe("unhealthy");
    expect(health?.detail).toContain(`127.0.0.1:${taken}`);
    expect(health?.detail).toContain("set plugins.config.android.port");
    expect(await push(android, "hi")).toMatchObject({ queued: true });
    await holder.stop(true);
    expect((await android.healthCheck?.())?.status).toBe("healthy");
    expect((await (await connect(taken, "phone")).next())[0]?.payload).toBe("hi");
  });

  test("an address that is not this host's makes it unhealthy", async () => {
    const { android } = await started({ host: "192.0.2.1" });
    expect((await android.healthCheck?.())?.status).toBe("unhealthy");
  });

  test("with port off it listens nowhere and is healthy", async () => {
    const { android } = await started({ port: "off" });
    expect(await android.healthCheck?.()).toEqual({
      status: "healthy",
      detail: "not listening, as port is off",
    });
    expect(await status(android)).toMatchObject({ port: null });
  });

  test("shutdown tells the clients, frees the port, and a later health check does not take it again", async () => {
    const { android, port } = await started({ port: await freePort() });
    const phone = await connect(port, "phone");
    await android.shutdown?.();
    expect((await phone.ended).code).toBe(1001);
    await android.healthCheck?.();
    const again = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("free") });
    expect(await (await fetch(again.url)).text()).toBe("free");
    await again.stop(true);
  });

  const settings: [Record<string, Json>, Record<string, string>, string][] = [
    [
      { port: -1 },
      {},
      "plugins.config.android.port: -1: expected a port from 1 to 65535, 0 for a free one, or off",
    ],
    [{ host: "a b" }, {}, 'plugins.config.android.host: "a b": expected an address'],
    [{ token: "hunter2" }, {}, "plugins.config.android.token: 7 characters: expected at least 16"],
    [{ token: 7 }, {}, "plugins.config.android.token: a number: expected at least 16"],
    [
      {},
      { ANDROID_TOKEN: "hunter2" },
      "environment variable ANDROID_TOKEN: 7 characters: expected at least 16",
    ],
    [{ maxClients: 0 }, {}, "plugins.config.android.maxClients: 0: expected a whole number from 1 to 1000"],
    [{ idleSeconds: 5 }, {}, "plugins.config.android.idleSeconds: 5: expected a whole number from 8 to 900"],
    [{ prot: 1 }, {}, "plugins.config.android.prot: no such key; expected one of host, port, token"],
  ];
  test.each(settings)("refuses the setting %j %j, and never shows a token", async (config, env, reason) => {
    const message = await failure(() => started(config, env));
    expect(message).toContain(reason);
    expect(message).not.toContain("hunter2");
  });
});
