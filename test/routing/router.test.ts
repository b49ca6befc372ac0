import { describe, expect, test } from "bun:test";
import type { DispatchAnswer, DispatchFailureKind, PluginState } from "../../src/routing/dispatcher.ts";
import { routing } from "./routed.ts";

const failing = (kind: DispatchFailureKind): DispatchAnswer => ({
  ok: false,
  kind,
  message: `it was ${kind}`,
});

describe("the platform answers", () => {
  test("with the plugin's result, once, reported to its breaker and the observers", async () => {
    const { dispatcher, breakers, observed, ask, router } = routing();
    dispatcher.behaviour.set("voice", { afterMs: 30, answer: { ok: true, result: { said: "hi" } } });
    const outcome = await ask({ type: "speech" });
    expect(outcome).toEqual({
      kind: "answered",
      requestId: "r1",
      platform: "voice",
      plugin: "voice",
      result: { said: "hi" },
      degraded: false,
      durationMs: 30,
      attempts: [{ plugin: "voice", outcome: "answered", durationMs: 30 }],
    });
    expect(dispatcher.calls.map(({ request }) => request)).toEqual([
      { id: "r1", platform: "voice", type: "speech", payload: { say: "hi" } },
    ]);
    expect(breakers.reports).toEqual(["voice success"]);
    expect(observed).toEqual([outcome]);
    expect(router.inFlight).toBe(0);
  });

  test("the type defaults to message, a given request id is kept", async () => {
    const { dispatcher, ask } = routing();
    expect((await ask({ requestId: "mine" })).requestId).toBe("mine");
    expect(dispatcher.calls[0]?.request).toMatchObject({ id: "mine", type: "message" });
  });

  test("an error of its handler is told with its message: 502, no fallback, a failure for the breaker", async () => {
    const { dispatcher, breakers, ask } = routing();
    dispatcher.behaviour.set("voice", {
      afterMs: 5,
      answer: { ok: false, kind: "plugin-error", message: "voice: no such language xx" },
    });
    expect(await ask({})).toMatchObject({
      kind: "refused",
      status: 502,
      code: "plugin-error",
      detail: "voice: no such language xx",
      attempts: [{ plugin: "voice", outcome: "plugin-error", durationMs: 5 }],
    });
    expect(dispatcher.calls).toHaveLength(1);
    expect(breakers.reports).toEqual(["voice failure plugin-error"]);
  });
});

test("an unknown platform is 404 with the known ones, and reaches nobody", async () => {
  const { dispatcher, breakers, ask } = routing();
  expect(await ask({ platform: "voise" })).toMatchObject({
    kind: "refused",
    status: 404,
    code: "unknown-platform",
    known: ["discord", "stubs", "voice"],
    detail: 'No plugin serves "voise"; known: discord, stubs, voice.',
  });
  expect([dispatcher.calls.length, breakers.granted]).toEqual([0, 0]);
});

interface Unavailable {
  why: string;
  kind?: DispatchFailureKind;
  state?: Exclude<PluginState, "ready">;
  breaker?: { reason: string; retryAfterMs: number | null };
  throws?: true;
  /** What the client sees when there is no fallback. */
  status: number;
  code: string;
  retryAfterSeconds?: number;
  blockedBy?: string;
  report: string | null;
}

const unavailable: Unavailable[] = [
  {
    why: "crash",
    kind: "crash",
    status: 503,
    code: "plugin-crashed",
    retryAfterSeconds: 1,
    report: "failure crash",
  },
  {
    why: "garbage",
    kind: "bad-answer",
    status: 502,
    code: "plugin-bad-answer",
    report: "failure bad-answer",
  },
  {
    why: "unreachable",
    kind: "unavailable",
    status: 503,
    code: "plugin-unavailable",
    retryAfterSeconds: 1,
    report: "failure unavailable",
  },
  {
    why: "the dispatcher throws",
    throws: true,
    status: 503,
    code: "plugin-unavailable",
    retryAfterSeconds: 1,
    report: "failure unavailable",
  },
  {
    why: "cancelled by the other side",
    kind: "cancelled",
    status: 503,
    code: "plugin-unavailable",
    retryAfterSeconds: 1,
    report: "failure unavailable",
  },
  {
    why: "overload",
    kind: "overload",
    status: 429,
    code: "plugin-overloaded",
    retryAfterSeconds: 1,
    blockedBy: "concurrency",
    report: "release",
  },
  {
    why: "shed while it worked",
    kind: "shed",
    status: 503,
    code: "plugin-shed",
    retryAfterSeconds: 30,
    blockedBy: "memory",
    report: "release",
  },
  {
    why: "shed",
    state: "shed",
    status: 503,
    code: "plugin-shed",
    retryAfterSeconds: 30,
    blockedBy: "memory",
    report: null,
  },
  {
    why: "stopped",
    state: "stopped",
    status: 503,
    code: "plugin-stopped",
    blockedBy: "plugin-state",
    report: null,
  },
  {
    why: "disabled",
    state: "disabled",
    status: 503,
    code: "plugin-disabled",
    blockedBy: "plugin-state",
    report: null,
  },
  {
    why: "failed",
    state: "failed",
    status: 503,
    code: "plugin-failed",
    retryAfterSeconds: 5,
    blockedBy: "plugin-state",
    report: null,
  },
  {
    why: "breaker open",
    breaker: { reason: "3 failures in a row", retryAfterMs: 12_345 },
    status: 503,
    code: "breaker-open",
    retryAfterSeconds: 13,
    blockedBy: "circuit-breaker",
    report: null,
  },
  {
    why: "breaker isolated",
    breaker: { reason: "maintenance", retryAfterMs: null },
    status: 503,
    code: "breaker-open",
    blockedBy: "circuit-breaker",
    report: null,
  },
];

function arrange(made: ReturnType<typeof routing>, row: Unavailable): void {
  if (row.kind) made.dispatcher.behaviour.set("voice", { afterMs: 3, answer: failing(row.kind) });
  if (row.throws) made.dispatcher.behaviour.set("voice", { afterMs: 0, answer: "throws" });
  if (row.state) made.dispatcher.set("voice", { state: row.state, reason: "as told" });
  if (row.breaker) made.breakers.open.set("voice", row.breaker);
}

describe("the platform is unavailable", () => {
  test.each(unavailable)("$why: the fallback answers, marked and told why", async (row) => {
    const made = routing();
    arrange(made, row);
    const outcome = await made.ask({});
    expect(outcome).toMatchObject({
      kind: "answered",
      platform: "voice",
      plugin: "stubs",
      degraded: true,
      fallbackFor: "voice",
      attempts: [{ plugin: "voice" }, { plugin: "stubs", outcome: "answered" }],
    });
    const reason = outcome.kind === "answered" ? outcome.reason : "";
    expect(reason).not.toBeEmpty();
    expect(made.dispatcher.calls.at(-1)?.request).toEqual({
      id: "r1",
      platform: "voice",
      type: "message",
      payload: { say: "hi" },
      fallback: { unavailable: "voice", reason: reason ?? "" },
    });
    expect(made.breakers.reports).toEqual([...(row.report ? [`voice ${row.report}`] : []), "stubs success"]);
  });

  test.each(unavailable)("$why, without a fallback: $status $code", async (row) => {
    const made = routing({ fallbacks: () => [] });
    arrange(made, row);
    const outcome = await made.ask({});
    expect(outcome).toMatchObject({ kind: "refused", status: row.status, code: row.code });
    if (outcome.kind !== "refused") return;
    expect([outcome.retryAfterSeconds, outcome.blockedBy as string | undefined]).toEqual([
      row.retryAfterSeconds,
      row.blockedBy,
    ]);
    expect(made.breakers.reports).toEqual(row.report ? [`voice ${row.report}`] : []);
  });

  test("a refusal tells the wait that the dispatcher knows", async () => {
    const { dispatcher, ask } = routing({ fallbacks: () => [] });
    dispatcher.set("voice", { state: "shed", reason: "memory at 83 %", retryAfterMs: 41_001 });
    expect(await ask({})).toMatchObject({ retryAfterSeconds: 42, detail: "voice is shed: memory at 83 %" });
  });

  test("a request too large for a plugin is the client's fault: 413, no fallback, neutral", async () => {
    const { dispatcher, breakers, ask } = routing();
    dispatcher.behaviour.set("voice", { afterMs: 0, answer: failing("too-large") });
    expect(await ask({})).toMatchObject({ kind: "refused", status: 413, code: "request-too-large" });
    expect(breakers.reports).toEqual(["voice release"]);
  });
});

describe("the chain of fallbacks", () => {
  test("passes over the platform itself, unknown ones and doubles, and goes on to the next", async () => {
    const { dispatcher, ask } = routing({
      fallbacks: () => ["voice", "nobody", "discord", "discord", "stubs"],
    });
    dispatcher.set("voice", { state: "shed", reason: "memory" });
    dispatcher.behaviour.set("discord", { afterMs: 1, answer: failing("plugin-error") });
    const outcome = await ask({});
    expect(outcome.attempts.map(({ plugin, outcome }) => [plugin, outcome])).toEqual([
      ["voice", "shed"],
      ["discord", "plugin-error"],
      ["stubs", "answered"],
    ]);
  });

  test("when none answers, the refusal is the platform's own reason", async () => {
    const { dispatcher, ask } = routing();
    dispatcher.set("voice", { state: "shed", reason: "memory at 83 %" });
    dispatcher.set("stubs", { state: "failed", reason: "crashed" });
    expect(await ask({})).toMatchObject({ kind: "refused", code: "plugin-shed", attempts: [{}, {}] });
  });

  test("the last of the order has no fallback for itself", async () => {
    const { dispatcher, ask } = routing();
    dispatcher.set("stubs", { state: "failed", reason: "crashed" });
    expect(await ask({ platform: "stubs" })).toMatchObject({ status: 503, attempts: [{ plugin: "stubs" }] });
  });

  test("tries at most three", async () => {
    const names = ["f1", "f2", "f3", "f4"];
    const { dispatcher, ask } = routing({ fallbacks: () => names });
    for (const name of ["voice", ...names])
      dispatcher.set(name, { plugin: name, state: "failed", reason: "x" });
    expect((await ask({})).attempts).toHaveLength(4);
  });
});
