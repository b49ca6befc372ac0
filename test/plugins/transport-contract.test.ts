/** What every transport must do, whatever carries it: run against lines and against frames, with a real process each. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mostQueuedBytes } from "../../src/plugins/byte-socket.ts";
import { largestMessageBytes, type Transport } from "../../src/plugins/transport.ts";
import { eventually } from "./harness.ts";
import { carriers, type Peer, startPeer } from "./peer-process.ts";

const soon = { timeoutMs: 3_000 };

describe.each(carriers)("a transport over %s", (carrier) => {
  let peer: Peer;
  let transport: Transport;
  beforeEach(async () => {
    peer = await startPeer(carrier);
    transport = peer.transport;
  });
  afterEach(() => peer.end());

  test("carries any JSON there and back", async () => {
    for (const value of [null, 0, "", "héllo\n\u0000", [1, [2]], { a: { b: "\\" } }])
      expect(await transport.call("echo", { value }, soon)).toEqual({ ok: true, value });
  });

  test("matches each answer to its call, in whatever order they come", async () => {
    const slow = transport.call("later", { delayMs: 50 }, soon);
    const fast = await Promise.all(
      Array.from({ length: 50 }, (_, value) => transport.call("echo", { value }, soon)),
    );
    expect(fast).toEqual(Array.from({ length: 50 }, (_, value) => ({ ok: true, value })));
    expect(await slow).toEqual({ ok: true, value: "late" });
  });

  test("carries a message of nearly 1 MiB, and refuses one over it", async () => {
    const value = "x".repeat(largestMessageBytes - 200);
    expect(await transport.call("echo", { value }, soon)).toEqual({ ok: true, value });
    expect(await transport.call("echo", { value: `${value}${"y".repeat(200)}` }, soon)).toMatchObject({
      kind: "too-large",
    });
  });

  test("fails with timeout when no answer comes, and counts one that comes later", async () => {
    expect(await transport.call("later", { delayMs: 100 }, { timeoutMs: 20 })).toMatchObject({
      kind: "timeout",
    });
    await eventually(() => transport.counters.lateAnswers === 1);
    expect(transport.counters.unknownAnswers).toBe(0);
    expect(transport.inFlight).toBe(0);
  });

  test("fails with cancelled when the caller's signal aborts, before or during", async () => {
    const abort = new AbortController();
    const call = transport.call("silence", {}, { ...soon, signal: abort.signal });
    abort.abort();
    expect(await call).toMatchObject({ kind: "cancelled" });
    expect(await transport.call("echo", {}, { ...soon, signal: abort.signal })).toMatchObject({
      kind: "cancelled",
    });
  });

  test("fails with plugin-error, its message and code", async () => {
    expect(await transport.call("fail", {}, soon)).toEqual({
      ok: false,
      kind: "plugin-error",
      message: "no",
      rpcCode: -5,
    });
    expect(await transport.call("unknown", {}, soon)).toMatchObject({
      kind: "plugin-error",
      rpcCode: -32601,
    });
  });

  test("drops and counts second answers and answers to nothing", async () => {
    expect(await transport.call("twice", {}, soon)).toEqual({ ok: true, value: 1 });
    await transport.call("unasked", {}, soon);
    expect(transport.counters.unknownAnswers).toBe(2);
  });

  test("skips and counts garbage and messages over the cap", async () => {
    expect(await transport.call("garbage", {}, soon)).toEqual({ ok: true, value: null });
    expect(await transport.call("too-long", { bytes: largestMessageBytes + 1 }, soon)).toEqual({
      ok: true,
      value: null,
    });
    expect(transport.counters.garbageMessages).toBe(2);
    expect(transport.counters.droppedBytes).toBeGreaterThanOrEqual(largestMessageBytes);
    expect(peer.junk).toHaveLength(2);
  });

  test("hands on notices", async () => {
    await transport.call("notice", {}, soon);
    expect(peer.notices).toEqual([{ method: "log", params: { message: "hello" } }]);
  });

  test("refuses with overload when the other side does not read, holding a bounded queue", async () => {
    await transport.call("echo", {}, soon);
    process.kill(peer.pid, "SIGSTOP");
    const value = "x".repeat(500_000);
    const calls = Array.from({ length: 20 }, () => transport.call("echo", { value }, { timeoutMs: 100 }));
    const kinds = (await Promise.all(calls)).map((result) => (result.ok ? "ok" : result.kind));
    process.kill(peer.pid, "SIGCONT");
    const taken = kinds.filter((it) => it === "timeout").length;
    expect(taken * 500_000).toBeLessThan(mostQueuedBytes + 2_000_000);
    expect(kinds.filter((it) => it === "overload")).toHaveLength(20 - taken);
  });

  test("when closed fails what is in flight and what comes after, with the reason", async () => {
    const call = transport.call("silence", {}, soon);
    transport.close("crashed", "it is gone");
    expect(await call).toEqual({ ok: false, kind: "crashed", message: "it is gone" });
    expect(await transport.call("echo", {}, soon)).toEqual({
      ok: false,
      kind: "crashed",
      message: "it is gone",
    });
  });
});
