/** Whatever a plugin sends and a caller does, in whatever order: one end for each caller, no chunk twice or out of order. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { RpcClient } from "../../src/plugins/rpc-client.ts";
import { initialCredit } from "../../src/plugins/stream-credit.ts";
import type { CallFailure, CallResult } from "../../src/plugins/transport.ts";

const mostCalls = 3;

/** One step of the plugin, of a caller, or of time; `call` is one of three. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("chunk" as const), call: fc.nat(mostCalls - 1) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("take" as const), call: fc.nat(mostCalls - 1) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("answer", "error", "cancel", "abort", "leave"),
      call: fc.nat(mostCalls - 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("deaf", "hears"), call: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const), call: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), call: fc.nat(150) }) },
);

class Caller {
  readonly abort = new AbortController();
  readonly results: CallResult[] = [];
  readonly ends: (CallFailure | null)[] = [];
  readonly taken: number[] = [];
  iterator: AsyncIterator<unknown> | null = null;
  /** Chunks that the plugin sent. */
  sent = 0;

  constructor(client: RpcClient) {
    const options = {
      timeoutMs: 100,
      signal: this.abort.signal,
      stream: { idleMs: 100, refuse: () => null },
    };
    void client.call("handle_request", null, options).then((result) => {
      this.results.push(result);
      if (!result.ok || !result.stream) return;
      this.iterator = result.stream[Symbol.asyncIterator]();
      void result.stream.done.then((end) => this.ends.push(end));
    });
  }

  take(): void {
    void this.iterator?.next().then((step) => {
      if (!step.done) this.taken.push(step.value as number);
    });
  }
}

test("a plugin that did not read when its stream was given up is told again when it goes on", async () => {
  const clock = new VirtualClock();
  let reads = true;
  const heard: string[] = [];
  const send = (text: string) => reads && heard.push(JSON.parse(text).method) > 0;
  const client = new RpcClient(clock, send, { notice: () => undefined, junk: () => undefined });
  const [caller] = [new Caller(client)];
  const chunk = () => client.receive('{"jsonrpc":"2.0","method":"stream","params":{"id":1,"chunk":0}}');
  chunk();
  reads = false;
  caller.abort.abort();
  chunk();
  reads = true;
  for (let n = 0; n < 3; n++) chunk();
  expect(heard).toEqual(["handle_request", "cancel"]);
  expect(client.counters.lateAnswers).toBe(4);
});

test("each caller has one result and one end, and takes the chunks in order, none twice", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
      const clock = new VirtualClock();
      let deaf = false;
      const credit = new Map<number, number>();
      const send = (text: string): boolean => {
        if (deaf) return false;
        const { method, params } = JSON.parse(text);
        if (method === "credit")
          credit.set(params.id, (credit.get(params.id) ?? initialCredit.chunks) + params.chunks);
        return true;
      };
      const client = new RpcClient(clock, send, { notice: () => undefined, junk: () => undefined });
      const callers = Array.from({ length: mostCalls }, () => new Caller(client));
      let strays = 0;
      for (const { kind, call } of steps) {
        const id = call + 1;
        const caller = callers[call];
        const say = (message: object) => client.receive(JSON.stringify({ jsonrpc: "2.0", ...message }));
        if (kind === "wait") await clock.advance(call);
        else if (kind === "crash") client.close("crashed", "it ended");
        else if (kind === "deaf" || kind === "hears") deaf = kind === "deaf";
        else if (kind === "answer") say({ id, result: {} });
        else if (kind === "error") say({ id, error: { message: "no" } });
        else if (kind === "chunk" && caller) say({ method: "stream", params: { id, chunk: caller.sent++ } });
        else if (kind === "take") caller?.take();
        else if (kind === "leave") void caller?.iterator?.return?.();
        else if (kind === "abort") caller?.abort.abort();
        else say({ id: 1_000 + strays++, result: 1 });
        await clock.advance(0);
        for (const { results, ends, taken, sent } of callers) {
          expect(results.length).toBeLessThanOrEqual(1);
          expect(ends.length).toBeLessThanOrEqual(1);
          // What one caller took is what was sent first: nothing is left out before it, nothing comes twice.
          expect(taken).toEqual(Array.from({ length: taken.length }, (_, n) => n));
          expect(taken.length).toBeLessThanOrEqual(sent);
        }
      }
      // A silent plugin is given up; one whose chunks nobody took ends once they are taken.
      await clock.advance(1_000);
      for (const caller of callers) for (let n = 0; n < 300; n++) caller.take();
      await clock.advance(1_000);
      for (const [index, { results, ends, taken, iterator }] of callers.entries()) {
        expect(results).toHaveLength(1);
        expect(ends).toHaveLength(iterator ? 1 : 0);
        // Credit is never more than what was taken, on top of what there was.
        expect((credit.get(index + 1) ?? 0) - initialCredit.chunks).toBeLessThanOrEqual(taken.length);
      }
      expect(client.inFlight).toBe(0);
      expect(client.counters.unknownAnswers).toBeGreaterThanOrEqual(strays);
    }),
    { numRuns: 300 },
  );
});
