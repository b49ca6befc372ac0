/** Answers in chunks, over lines and over frames, with a real process at the far side. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { initialCredit, mostWaitingChunks } from "../../src/plugins/stream-credit.ts";
import {
  type CallOptions,
  type JsonStream,
  largestMessageBytes,
  type Transport,
} from "../../src/plugins/transport.ts";
import type { Json } from "../../src/sdk/plugin.ts";
import { eventually } from "./harness.ts";
import { carriers, type Peer, startPeer } from "./peer-process.ts";

const takes: CallOptions = { timeoutMs: 5_000, stream: { idleMs: 5_000, refuse: () => null } };
const silentFor = (idleMs: number): CallOptions => ({ ...takes, stream: { idleMs, refuse: () => null } });

const numbers = (chunks: Json[]): number[] => chunks.map((chunk) => (chunk as { n: number }).n);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe.each(carriers)("a stream over %s", (carrier) => {
  let peer: Peer;
  let transport: Transport;
  beforeEach(async () => {
    peer = await startPeer(carrier);
    transport = peer.transport;
  });
  afterEach(() => peer.end());

  async function open(params: { [key: string]: Json }, options = takes): Promise<JsonStream> {
    const answer = await transport.call("stream", params, options);
    if (!answer.ok || !answer.stream) throw new Error(`no stream: ${JSON.stringify(answer)}`);
    return answer.stream;
  }

  test("yields every chunk in order, however many, and ends well", async () => {
    const stream = await open({ count: 1_000 });
    expect(transport.inFlight).toBe(1);
    expect(numbers(await Array.fromAsync(stream))).toEqual(upTo(1_000));
    expect(await stream.done).toBeNull();
    expect(transport.inFlight).toBe(0);
    expect(await transport.call("echo", { value: 1 }, takes)).toEqual({ ok: true, value: 1 });
    expect(transport.counters).toEqual({
      lateAnswers: 0,
      unknownAnswers: 0,
      garbageMessages: 0,
      droppedBytes: 0,
    });
  });

  test("carries chunks of nearly 1 MiB", async () => {
    const stream = await open({ count: 8, bytes: largestMessageBytes - 200 });
    expect(numbers(await Array.fromAsync(stream))).toEqual(upTo(8));
    expect(await stream.done).toBeNull();
  });

  test("without a chunk is an ordinary answer", async () => {
    expect(await transport.call("stream", { count: 0 }, takes)).toEqual({ ok: true, value: { streamed: 0 } });
  });

  test("many at once do not mix", async () => {
    const streams = await Promise.all(upTo(20).map((n) => open({ count: 50 + n })));
    const all = await Promise.all(streams.map((stream) => Array.fromAsync(stream)));
    expect(all.map(numbers)).toEqual(streams.map((_, n) => upTo(50 + n)));
  });

  test("stops the plugin while nobody takes the chunks, and does not call that silence", async () => {
    const stream = await open({ count: 100_000 }, silentFor(300));
    // An answer that follows whatever was sent before it.
    await transport.call("echo", {}, takes);
    await Bun.sleep(500);
    const iterator = stream[Symbol.asyncIterator]();
    expect(await iterator.next()).toMatchObject({ value: { n: 0 } });
    stream.cancel();
    expect(await stream.done).toMatchObject({ kind: "cancelled" });
    await eventually(() => peer.notices.length === 1);
    const [{ params }] = peer.notices as [{ params: { message: string } }];
    const sent = Number(params.message.replace("cancelled after ", ""));
    expect(sent).toBeGreaterThanOrEqual(initialCredit.chunks);
    expect(sent).toBeLessThanOrEqual(2 * initialCredit.chunks);
  });

  test("that the consumer leaves is cancelled there too; what still comes is late", async () => {
    const stream = await open({ count: 100_000 });
    for await (const chunk of stream) if (numbers([chunk])[0] === 99) break;
    expect(await stream.done).toMatchObject({ kind: "cancelled" });
    await eventually(() => peer.notices.length === 1);
    await transport.call("echo", {}, takes);
    expect(transport.inFlight).toBe(0);
    // The chunk after the cancel, and the answer; and what was under way.
    expect(transport.counters.lateAnswers).toBeGreaterThanOrEqual(2);
    expect(transport.counters.unknownAnswers).toBe(0);
    // Which is nobody's fault.
    expect(peer.junk).toEqual([]);
  });

  test("that the caller's signal aborts is cancelled", async () => {
    const abort = new AbortController();
    const stream = await open({ count: 100_000 }, { ...takes, signal: abort.signal });
    abort.abort();
    expect(await stream.done).toMatchObject({ kind: "cancelled" });
    expect(await Array.fromAsync(stream)).toEqual([]);
    await eventually(() => peer.notices.length === 1);
  });

  test("that the plugin ends with an error yields what came, then fails with it", async () => {
    const stream = await open({ count: 5, end: "fail" });
    expect(numbers(await Array.fromAsync(stream))).toEqual(upTo(5));
    expect(await stream.done).toEqual({ ok: false, kind: "plugin-error", message: "no more", rpcCode: -6 });
  });

  test("whose plugin falls silent times out", async () => {
    const stream = await open({ count: 5, end: "silence" }, silentFor(200));
    expect(numbers(await Array.fromAsync(stream))).toEqual(upTo(5));
    expect(await stream.done).toMatchObject({ kind: "timeout", message: "no further chunk within 200 ms" });
  });

  test("whose process ends fails with crashed", async () => {
    const stream = await open({ count: 5, end: "silence" });
    // An answer that follows whatever was sent before it.
    await transport.call("echo", {}, takes);
    void transport.call("exit", {}, takes);
    expect(numbers(await Array.fromAsync(stream))).toEqual(upTo(5));
    expect(await stream.done).toMatchObject({ kind: "crashed" });
    expect(transport.inFlight).toBe(0);
  });

  test("that goes on after its end is counted, and nothing of that is delivered", async () => {
    const stream = await open({ count: 3, end: "again" });
    expect(numbers(await Array.fromAsync(stream))).toEqual(upTo(3));
    expect(await stream.done).toBeNull();
    await transport.call("stray-chunks", {}, takes);
    expect(transport.counters.unknownAnswers).toBe(3);
    expect(transport.counters.garbageMessages).toBe(2);
  });

  test("that says it sent more than came fails, whatever was lost", async () => {
    const stream = await open({ count: 3, end: "miscounted" });
    expect(numbers(await Array.fromAsync(stream))).toEqual(upTo(3));
    expect(await stream.done).toMatchObject({
      kind: "protocol",
      message: "it streamed 4 chunks, and 3 of them could be read",
    });
  });

  test("of a plugin that ignores its credit is ended at the bound, and the plugin lives", async () => {
    const stream = await open({ count: 2_000, greedy: true });
    expect(await stream.done).toMatchObject({
      kind: "protocol",
      message: expect.stringContaining("without credit"),
    });
    expect(numbers(await Array.fromAsync(stream))).toEqual(upTo(mostWaitingChunks));
    await eventually(() => peer.junk.length > 0);
    expect(await transport.call("echo", { value: 2 }, takes)).toEqual({ ok: true, value: 2 });
  });

  test("of large chunks without credit is ended at the bound in bytes", async () => {
    const stream = await open({ count: 20, bytes: 900_000, greedy: true });
    expect(await stream.done).toMatchObject({ kind: "protocol" });
    expect(await Array.fromAsync(stream)).toHaveLength(4);
  });

  test("as an answer to a call that takes none fails, and is cancelled", async () => {
    const answer = await transport.call("stream", { count: 100 }, { timeoutMs: 5_000 });
    expect(answer).toMatchObject({ kind: "protocol", message: expect.stringContaining("takes no stream") });
    await eventually(() => peer.notices.length === 1);
  });

  test("with a chunk that is refused fails and says which", async () => {
    const refuse = (chunk: Json) => ((chunk as { n: number }).n === 2 ? "is the third" : null);
    const stream = await open({ count: 100 }, { ...takes, stream: { idleMs: 5_000, refuse } });
    expect(numbers(await Array.fromAsync(stream))).toEqual([0, 1]);
    expect(await stream.done).toMatchObject({
      kind: "protocol",
      message: "chunk 3 of the answer is the third",
    });
  });

  test("of a stopped process (SIGSTOP) times out, and holds nothing more", async () => {
    const stream = await open({ count: 1_000_000 }, silentFor(200));
    process.kill(peer.pid, "SIGSTOP");
    const chunks = await Array.fromAsync(stream);
    expect(numbers(chunks)).toEqual(upTo(chunks.length));
    expect(await stream.done).toMatchObject({ kind: "timeout" });
    process.kill(peer.pid, "SIGCONT");
    // It hears of the cancel when it wakes.
    await eventually(() => peer.notices.length === 1);
  });
});

describe("over lines", () => {
  test("an answer or a chunk that is too long is told to its caller, and the plugin lives", async () => {
    const peer = await startPeer("lines");
    const answer = await peer.transport.call("too-long-answer", { bytes: largestMessageBytes }, takes);
    expect(answer).toMatchObject({ kind: "protocol", message: expect.stringContaining("expected at most") });
    const streamed = await peer.transport.call("stream", { count: 9, bytes: largestMessageBytes }, takes);
    expect(streamed).toMatchObject({
      kind: "protocol",
      message: expect.stringContaining("a chunk of the answer"),
    });
    expect(await peer.transport.call("echo", { value: 3 }, takes)).toEqual({ ok: true, value: 3 });
    expect(peer.transport.inFlight).toBe(0);
    await peer.end();
  });
});
