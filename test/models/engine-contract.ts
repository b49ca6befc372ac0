/** What every engine has to do, run over each of them. */

import { afterEach, describe, expect, test } from "bun:test";
import type { Engine, GenerateRequest, Part, ReleaseProof } from "../../src/models/engine.ts";
import { eventually } from "../plugins/harness.ts";

/** One engine with what it runs on; fresh for each test. */
export interface Subject {
  engine: Engine;
  proof: ReleaseProof;
  /** Whether it can tell what it holds. */
  measures: boolean;
  /** Generations at once, by its settings. */
  mostGenerations: number;
  /** Processes of it that live. */
  pids(): number[];
  /** Answers under way at the engine itself; null where it cannot be asked from outside. */
  underWay(): number | null;
  /** Ends what the test has made, however the engine stands. */
  end(): Promise<void>;
}

export const ask = (more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  input: { prompt: "hello world" },
  maxTokens: 12,
  temperature: 0,
  seed: 1,
  ...more,
});

const endless = ask({ maxTokens: 400 });
export const never = new AbortController().signal;

type End = Extract<Part, { kind: "end" }>;

/** The whole answer; fails unless it ends with exactly one end. */
export async function taken(parts: AsyncIterable<Part>): Promise<{ text: string; texts: number; end: End }> {
  let text = "";
  let texts = 0;
  const ends: End[] = [];
  for await (const part of parts) {
    expect(ends).toEqual([]);
    if (part.kind === "end") ends.push(part);
    else {
      text += part.text;
      texts++;
    }
  }
  const [end] = ends;
  if (!end) throw new Error("an answer without an end");
  return { text, texts, end };
}

/** Takes texts until `enough`, then calls `act` and takes the rest. */
async function interrupted(
  parts: AsyncIterable<Part>,
  act: () => void,
): Promise<{ before: number; after: Part[] }> {
  let before = 0;
  const after: Part[] = [];
  for await (const part of parts) {
    if (before >= 2) after.push(part);
    else if (++before === 2) act();
  }
  return { before, after };
}

export function engineContract(name: string, make: () => Promise<Subject>): void {
  let subject: Subject | null = null;
  const fresh = async () => {
    subject = await make();
    return subject;
  };
  const loaded = async () => {
    const made = await fresh();
    expect(await made.engine.load()).toMatchObject({ ok: true });
    return made;
  };

  afterEach(async () => {
    const pids = subject?.pids ?? (() => []);
    const unloaded = await subject?.engine.unload();
    const left = pids();
    await subject?.end();
    subject = null;
    expect(unloaded?.ok ?? true).toBe(true);
    expect(left).toEqual([]);
    expect(pids()).toEqual([]);
  });

  describe(name, () => {
    test("holds nothing and answers nothing before it is loaded", async () => {
      const { engine, pids } = await fresh();
      expect(engine.state).toBe("unloaded");
      expect(await engine.footprintBytes()).toBeNull();
      const { text, end } = await taken(engine.generate(ask(), never));
      expect([text, end.finishReason, end.failure?.code]).toEqual(["", "error", "not-loaded"]);
      expect(await engine.health()).toMatchObject({ status: "unhealthy", failure: { code: "not-loaded" } });
      expect(await engine.unload()).toMatchObject({ ok: true, proof: "holds-nothing" });
      expect(pids()).toEqual([]);
    });

    test("loads, tells its context and what it holds, and is well", async () => {
      const { engine, measures } = await loaded();
      expect(engine.state).toBe("ready");
      expect(engine.contextTokens).toBeGreaterThan(0);
      const bytes = await engine.footprintBytes();
      if (measures) expect(bytes).toBeGreaterThan(100_000);
      else expect(bytes).toBeNull();
      expect(await engine.health()).toEqual({ status: "healthy" });
    });

    test("loads once, however often it is asked", async () => {
      const { engine, pids } = await fresh();
      const changes: string[] = [];
      engine.onChange((state) => changes.push(state));
      const [one, other] = await Promise.all([engine.load(), engine.load()]);
      expect([one.ok, other.ok, (await engine.load()).ok]).toEqual([true, true, true]);
      expect(changes).toEqual(["loading", "ready"]);
      const before = pids();
      await engine.load();
      expect(pids()).toEqual(before);
    });

    test("continues a prompt up to the tokens that were asked for, and counts them", async () => {
      const { engine } = await loaded();
      const { text, end } = await taken(engine.generate(ask({ maxTokens: 5 }), never));
      expect(text.length).toBeGreaterThan(0);
      expect(end).toMatchObject({ finishReason: "length", failure: null, usage: { completionTokens: 5 } });
      expect(end.usage.promptTokens).toBeGreaterThan(0);
      expect(engine.generating).toBe(0);
    });

    test("answers a conversation", async () => {
      const { engine } = await loaded();
      const input: GenerateRequest["input"] = {
        messages: [
          { role: "system", content: "be short" },
          { role: "user", content: "hello" },
          { role: "assistant", content: "yes" },
          { role: "user", content: "and now" },
        ],
      };
      const { text, end } = await taken(
        engine.generate(ask({ input, maxTokens: 6, temperature: 0.8 }), never),
      );
      expect(text.length).toBeGreaterThan(0);
      expect(["length", "stop"]).toContain(end.finishReason);
    });

    test("the same request with the same seed gives the same answer, whatever came between", async () => {
      const { engine } = await loaded();
      const one = await taken(engine.generate(ask(), never));
      await taken(engine.generate(ask({ input: { prompt: "something else" }, seed: 9 }), never));
      const other = await taken(engine.generate(ask(), never));
      expect(other.text).toBe(one.text);
    });

    test("ends where a stop text would begin", async () => {
      const { engine } = await loaded();
      const { text } = await taken(engine.generate(ask(), never));
      const stop = text.slice(Math.floor(text.length / 2)).slice(0, 4);
      const cut = await taken(engine.generate(ask({ stop: [stop] }), never));
      expect(cut.end.finishReason).toBe("stop");
      expect(cut.text).toBe(text.slice(0, text.indexOf(stop)));
    });

    test("refuses what is out of bounds, with the field and what is allowed", async () => {
      const { engine } = await loaded();
      const { text, end } = await taken(engine.generate(ask({ maxTokens: 0 }), never));
      expect([text, end.failure?.code]).toEqual(["", "bad-request"]);
      expect(end.failure?.message).toBe("maxTokens: 0: expected a whole number from 1 to 1000000");
    });

    test("an abort stops the answer at the engine, which then takes the next one", async () => {
      const { engine, underWay } = await loaded();
      const abort = new AbortController();
      const { after } = await interrupted(engine.generate(endless, abort.signal), () => abort.abort());
      expect(after).toMatchObject([{ kind: "end", finishReason: "aborted", failure: null }]);
      expect(engine.generating).toBe(0);
      await eventually(() => (underWay() ?? 0) === 0);
      expect((await taken(engine.generate(ask({ maxTokens: 3 }), never))).end.finishReason).toBe("length");
    });

    test("leaving the iteration stops the answer too", async () => {
      const { engine, underWay } = await loaded();
      for await (const part of engine.generate(endless, never)) {
        expect(part.kind).toBe("text");
        break;
      }
      expect(engine.generating).toBe(0);
      await eventually(() => (underWay() ?? 0) === 0);
      expect((await taken(engine.generate(ask({ maxTokens: 3 }), never))).end.finishReason).toBe("length");
    });

    test("nothing begins for a caller that has gone already", async () => {
      const { engine } = await loaded();
      const { text, end } = await taken(engine.generate(endless, AbortSignal.abort()));
      expect([text, end.finishReason]).toEqual(["", "aborted"]);
    });

    test("takes no more answers at once than it is set to", async () => {
      const { engine, mostGenerations } = await loaded();
      const abort = new AbortController();
      const open = Array.from({ length: mostGenerations }, () =>
        engine.generate(endless, abort.signal)[Symbol.asyncIterator](),
      );
      for (const each of open) expect((await each.next()).value).toMatchObject({ kind: "text" });
      const { end } = await taken(engine.generate(ask(), never));
      expect([end.finishReason, end.failure?.code]).toEqual(["error", "overloaded"]);
      abort.abort();
      for (const each of open) {
        let step = await each.next();
        while (!step.done && step.value.kind === "text") step = await each.next();
        expect(step.value).toMatchObject({ kind: "end", finishReason: "aborted" });
        await each.next();
      }
      expect(engine.generating).toBe(0);
    });

    test("unloading ends what is generated, gives the memory back and proves it", async () => {
      const { engine, proof, pids } = await loaded();
      let unloading: ReturnType<Engine["unload"]> | undefined;
      const { after } = await interrupted(engine.generate(endless, never), () => {
        unloading = engine.unload();
      });
      expect(after).toMatchObject([{ finishReason: "aborted", failure: { code: "not-loaded" } }]);
      expect(await unloading).toMatchObject({ ok: true, proof });
      expect([engine.state, await engine.footprintBytes(), pids()]).toEqual(["unloaded", null, []]);
    });

    test("a taker that pauses does not hold the memory", async () => {
      const { engine, proof } = await loaded();
      const parts = engine.generate(endless, never)[Symbol.asyncIterator]();
      expect((await parts.next()).value).toMatchObject({ kind: "text" });
      expect(await engine.unload()).toMatchObject({ ok: true, proof });
      expect(await engine.load()).toMatchObject({ ok: true });
      expect((await taken(engine.generate(ask(), never))).end.finishReason).toBe("length");
      const { text, end } = await taken({ [Symbol.asyncIterator]: () => parts });
      expect([text, end.finishReason, end.failure?.code]).toEqual(["", "aborted", "not-loaded"]);
    });

    test("loads again after it was unloaded", async () => {
      const { engine } = await loaded();
      const { text } = await taken(engine.generate(ask(), never));
      await engine.unload();
      expect(await engine.load()).toMatchObject({ ok: true });
      expect((await taken(engine.generate(ask(), never))).text).toBe(text);
    });

    test("a load that waits for an unload gets its turn after it", async () => {
      const { engine } = await loaded();
      const [unloaded, again] = await Promise.all([engine.unload(), engine.load()]);
      expect([unloaded.ok, again.ok, engine.state]).toEqual([true, true, "ready"]);
    });

    test("a load that is given up leaves nothing, and the next one works", async () => {
      const { engine, pids } = await fresh();
      const abort = new AbortController();
      const loading = engine.load(abort.signal);
      abort.abort();
      expect(await loading).toMatchObject({ ok: false, failure: { code: "aborted" } });
      expect([engine.state, pids()]).toEqual(["failed", []]);
      expect(await engine.load()).toMatchObject({ ok: true });
    });

    test("a load that is given up when its process runs already leaves none", async () => {
      const { engine, pids, proof } = await fresh();
      if (proof !== "process-gone") return;
      const abort = new AbortController();
      const loading = engine.load(abort.signal);
      await eventually(() => pids().length > 0, 20_000);
      abort.abort();
      expect(await loading).toMatchObject({ ok: false, failure: { code: "aborted" } });
      expect([engine.state, pids()]).toEqual(["failed", []]);
    });

    test("unloading while it loads gives the load up", async () => {
      const { engine, pids } = await fresh();
      const loading = engine.load();
      const unloading = engine.unload();
      expect(await loading).toMatchObject({ ok: false, failure: { code: "aborted" } });
      expect((await unloading).ok).toBe(true);
      expect([engine.state, pids()]).toEqual(["unloaded", []]);
    });
  });
}
