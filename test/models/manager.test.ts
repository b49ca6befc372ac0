import { describe, expect, test } from "bun:test";
import { mostWaitMs } from "../../src/models/preflight.ts";
import { mostWaiting } from "../../src/models/waiters.ts";
import { endOf, LadderHost, MiB, textOf } from "./ladder-host.ts";

const minute = 60_000;
const lastOf = (events: readonly { from: string | null; to: string | null }[]) => {
  const { from, to } = events.at(-1) ?? {};
  return `${from}>${to}`;
};

/** A host on which the best model is loaded and nothing settles any more. */
async function started(...terms: ConstructorParameters<typeof LadderHost>): Promise<LadderHost> {
  const host = new LadderHost(...terms);
  await host.run(minute);
  expect(host.ready).toBe("large");
  return host;
}

describe("the ladder of a live host", () => {
  test("loads the best that fits, and tells with its capability; the promise is given back", async () => {
    const host = await started();
    expect(host.events).toEqual([
      {
        from: null,
        to: "large",
        old: null,
        new: { quality: 100, contextTokens: 4_096 },
        reason: "large is the best model that fits",
      },
    ]);
    expect(host.reservedBytes).toBe(0);
    expect(host.manager.peaks("large")).toEqual([{ contextTokens: 4_096, bytes: 400 * MiB }]);
  });

  test("steps down when others need memory: the old one goes before the new one comes", async () => {
    const host = await started();
    host.othersBytes = 450 * MiB;
    host.manager.evaluate();
    await host.clock.advance(500);
    expect(host.ready).toBe("");
    expect(host.manager.facts()[0]?.state).toBe("unloaded");
    await host.run(2_000);
    expect(host.ready).toBe("medium");
    expect(lastOf(host.events)).toBe("large>medium");
    expect(host.usedBytes).toBe(650 * MiB);
  });

  test("steps up after 5 minutes of calm, the new one before the old one goes", async () => {
    const host = await started();
    host.othersBytes = 450 * MiB;
    await host.run(minute);
    host.othersBytes = 100 * MiB;
    await host.run(4 * minute);
    expect(host.ready).toBe("medium");
    await host.run(minute);
    expect(host.verdicts.at(-1)).toBe("calm switch large");
    await host.run(5_000);
    expect(host.ready).toBe("large");
    expect(lastOf(host.events)).toBe("medium>large");
  });

  test("calm begins anew when a model gives way, also under a line of its own", async () => {
    const host = await started({}, { stepDownRatio: 0.5 });
    // Loaded for longer than counts as having brought the pressure back, and calm by the policy's own line.
    await host.run(11 * minute);
    host.othersBytes = 120 * MiB;
    await host.run(minute);
    expect(host.ready).toBe("medium");
    host.othersBytes = 0;
    await host.run(3 * minute);
    expect(host.ready).toBe("medium");
    await host.run(2 * minute);
    expect(host.ready).toBe("large");
  });

  test("a better model that brings the pressure back is put off, each time longer", async () => {
    const host = await started();
    const upgradesAfter: number[] = [];
    host.othersBytes = 450 * MiB;
    await host.run(minute);
    for (let round = 0; round < 3; round++) {
      host.othersBytes = 100 * MiB;
      let waitedMs = 0;
      while (host.ready !== "large" && waitedMs < 120 * minute) {
        await host.run(minute);
        waitedMs += minute;
      }
      upgradesAfter.push(waitedMs / minute);
      host.othersBytes = 450 * MiB;
      await host.run(minute);
    }
    // Each time it gave way within 10 minutes: away for 5, 10 and 20 minutes from then.
    expect(upgradesAfter).toEqual([5, 10, 20]);
  });

  test("an answer under way finishes before its model goes; who comes meanwhile waits and gets the next one", async () => {
    const host = await started({ large: { answerTokens: 60 } });
    const first = host.ask();
    await host.run(1_000);
    host.othersBytes = 450 * MiB;
    await host.run(2_000);
    expect(host.verdicts.slice(1)).toEqual(["threshold trim large", "finish hold large"]);
    const second = host.ask();
    await host.run(8_000);
    expect(endOf(first.parts)).toMatchObject({ finishReason: "stop", model: "large", note: null });
    await host.run(4_000);
    expect(textOf(second.parts)).toStartWith("medium ");
    expect(endOf(second.parts)).toMatchObject({ finishReason: "stop", model: "medium" });
  });

  test("an emergency cuts an answer, which ends as too long, with a note", async () => {
    const host = await started({ large: { answerTokens: 60 } });
    const { parts, done } = host.ask();
    await host.run(1_000);
    host.othersBytes = 560 * MiB;
    await host.run(1_000);
    await done;
    expect(textOf(parts).length).toBeGreaterThan(0);
    expect(endOf(parts)).toMatchObject({ finishReason: "length", failure: null, model: "large" });
    expect(endOf(parts).note).toContain("memory ran out");
    expect(host.ready).toBe("");
    expect(host.manager.feedback("large")?.answers).toBe(0);
  });

  test("an emergency gives a load up, and nothing of it stays", async () => {
    const host = new LadderHost({ large: { loadMs: 20_000 } });
    await host.run(5_000);
    expect(host.manager.facts()[0]?.state).toBe("loading");
    host.othersBytes = 800 * MiB;
    await host.run(1_000);
    expect(host.usedBytes).toBe(800 * MiB);
    expect([host.ready, host.reservedBytes]).toEqual(["", 0]);
  });

  test("a model that does not load is left out, and the next one is loaded", async () => {
    const host = new LadderHost({ large: { failLoads: 1 } });
    await host.run(30_000);
    expect(host.ready).toBe("medium");
    // It is put off for 5 minutes, which calm takes as well.
    await host.run(6 * minute);
    expect(host.ready).toBe("large");
  });

  test("a crash is told, cleared, and answered by the next one", async () => {
    const host = await started();
    host.drivers.get("large")?.crash();
    expect(lastOf(host.events)).toBe("large>null");
    expect(host.events.at(-1)?.reason).toBe("large crashed");
    const { parts, done } = host.ask();
    await host.run(15_000);
    await done;
    expect(endOf(parts)).toMatchObject({ model: "medium", finishReason: "stop" });
    expect(host.verdicts).toContain("still-held unload large");
  });

  test("memory that is not given back is tried once, and then counted as others'", async () => {
    const host = await started({ large: { failReleases: 1 } });
    host.othersBytes = 450 * MiB;
    await host.run(minute);
    expect(host.verdicts.filter((each) => each.startsWith("still-held"))).toEqual([]);
    expect([host.ready, host.usedBytes]).toEqual(["", 850 * MiB]);
  });

  test("goes on with half of its context when that is enough, and takes it all again after calm", async () => {
    // 4,096 tokens are 300 MiB: half of them frees 150, and 82 - 80 + 5 points are 70.
    const kvPerToken = (300 * MiB) / 4_096;
    const host = await started({}, { bytes: { declared: null, weights: 100 * MiB, kvPerToken } });
    host.othersBytes = 420 * MiB;
    await host.run(minute);
    expect(host.verdicts.at(-1)).toBe("threshold trim large");
    expect([host.ready, host.usedBytes]).toEqual(["large", 670 * MiB]);
    expect(host.events.at(-1)).toMatchObject({
      from: "large",
      to: "large",
      old: { contextTokens: 4_096 },
      new: { contextTokens: 2_048 },
    });
    const { parts, done } = host.ask({ input: { prompt: "x".repeat(10_500) } });
    await host.run(3_000);
    await done;
    expect(endOf(parts).refusal).not.toBeNull();
    host.othersBytes = 100 * MiB;
    await host.run(6 * minute);
    expect([host.ready, host.usedBytes]).toEqual(["large", 500 * MiB]);
    expect(host.events.at(-1)).toMatchObject({ to: "large", new: { contextTokens: 4_096 } });
  });

  test("a slow model gives way with memory free, and does not come back at once", async () => {
    const host = await started({ large: { tokenMs: 1_000 } }, { slowestTokensPerSecond: 2 });
    for (let each = 0; each < 3; each++) {
      const { done } = host.ask();
      await host.run(12_000);
      await done;
    }
    expect(host.verdicts.at(-1)).toBe("slow switch medium");
    await host.run(4 * minute);
    expect(host.ready).toBe("medium");
  });

  test("closing gives everything back, and refuses", async () => {
    const host = await started({ large: { answerTokens: 60 } });
    const { parts, done } = host.ask();
    await host.run(1_000);
    await host.manager.close();
    await done;
    expect(host.usedBytes).toBe(0);
    expect(endOf(parts).finishReason).toBe("aborted");
    const after = host.ask();
    await after.done;
    expect(endOf(after.parts).refusal).toMatchObject({ reason: "conductor stops", retryAfterMs: null });
    expect(host.manager.evaluate().action).toBe("hold");
    expect(lastOf(host.events)).toBe("large>null");
  });
});

describe("an answer", () => {
  test("says who answers before its text, and measures it", async () => {
    const host = await started();
    for (let each = 0; each < 4; each++) {
      const { parts, done } = host.ask();
      await host.run(2_000);
      await done;
      expect(parts[0]).toEqual({ kind: "model", model: "large", insteadOf: null });
      expect(textOf(parts)).toBe("large ".repeat(10));
    }
    // The first text after 100 ms; 10 tokens in the 900 ms after it.
    expect(host.manager.feedback("large")).toEqual({
      answers: 4,
      firstTextMs: 100,
      tokensPerSecond: 10_000 / 900,
      failedRatio: 0,
    });
  });

  test("comes from the next rung when the engine fails before the first text", async () => {
    const host = await started({ large: { failAnswers: 1 } });
    const { parts, done } = host.ask();
    await host.run(5_000);
    await done;
    expect(parts[0]).toEqual({ kind: "model", model: "medium", insteadOf: "large" });
    expect(endOf(parts)).toMatchObject({ finishReason: "stop", model: "medium", failure: null });
  });

  test("is an error when the engine fails after it", async () => {
    const host = await started({ large: { failAnswers: 1, failAfterTokens: 3 } });
    const { parts, done } = host.ask();
    await host.run(2_000);
    await done;
    expect(textOf(parts)).toBe("large large large ");
    expect(endOf(parts)).toMatchObject({ finishReason: "error", failure: { code: "server-error" } });
  });

  test("tells the last failure when every model fails", async () => {
    const failing = { failAnswers: 9 };
    const host = await started({ large: failing, medium: failing, small: failing });
    const { parts, done } = host.ask();
    await host.run(30_000);
    await done;
    expect(parts.length).toBe(1);
    expect(endOf(parts)).toMatchObject({
      failure: { code: "server-error" },
      refusal: { reason: "every model failed" },
    });
  });

  test("is refused at once where none fits, with who is in the way", async () => {
    const host = new LadderHost();
    host.othersBytes = 900 * MiB;
    await host.run(2_000);
    const { parts, done } = host.ask();
    await done;
    expect(endOf(parts)).toMatchObject({
      failure: { code: "overloaded", retryAfterMs: 30_000 },
      refusal: { blockedBy: [{ name: "others", bytes: 900 * MiB }] },
    });
  });

  test("from a named model: loaded beside when it fits, else a smaller one with a word of it", async () => {
    const host = await started();
    const { parts, done } = host.ask({}, "small");
    await host.run(4_000);
    await done;
    expect(parts[0]).toEqual({ kind: "model", model: "small", insteadOf: null });
    expect(host.ready).toBe("large small");
    host.othersBytes = 180 * MiB;
    const other = host.ask({}, "medium");
    await host.run(2_000);
    await other.done;
    expect(other.parts[0]).toEqual({ kind: "model", model: "small", insteadOf: "medium" });
  });

  test("waits for a place at most so long, and no more than so many wait", async () => {
    const host = await started({ large: { tokenMs: 10_000 } });
    const open = [host.ask(), host.ask()];
    await host.run(1_000);
    const waiting = Array.from({ length: mostWaiting }, () => host.ask());
    await host.clock.advance(1);
    const beyond = host.ask();
    await beyond.done;
    expect(endOf(beyond.parts).refusal?.reason).toBe("too many requests wait for a model already");
    await host.run(mostWaitMs + 1_000);
    await Promise.all(waiting.map(({ done }) => done));
    for (const { parts } of waiting)
      expect(endOf(parts).refusal?.reason).toStartWith("waited for 30000 ms: large");
    await host.run(2 * minute);
    await Promise.all(open.map(({ done }) => done));
  });

  test("a caller that goes away while it waits, or before its turn, leaves nothing", async () => {
    const host = new LadderHost({ large: { loadMs: 5_000 } });
    host.manager.evaluate();
    const abort = new AbortController();
    const { parts, done } = host.ask({}, null, abort.signal);
    await host.clock.advance(10);
    abort.abort();
    await done;
    expect(parts.length).toBe(1);
    expect(endOf(parts)).toMatchObject({ finishReason: "aborted", refusal: null });
    await host.run(6_000);
    expect(host.manager.facts()[0]?.generating).toBe(0);
  });

  test("refuses what is out of bounds without a model", async () => {
    const host = new LadderHost();
    const { parts, done } = host.ask({ maxTokens: 0 });
    await done;
    expect(endOf(parts).failure?.code).toBe("bad-request");
  });
});
