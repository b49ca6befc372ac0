import { afterEach, describe, expect, test } from "bun:test";
import { bodyHashOf, Idempotency, type TakenOnce } from "../../src/routing/idempotency.ts";
import { Intake, type IntakeRequest } from "../../src/routing/intake.ts";
import { Parking, parkedAs, timedAttempts } from "../../src/routing/parking.ts";
import type { IdempotencyLimits } from "../../src/storage/idempotency-keys.ts";
import { storageAt, undoAll } from "../storage/scratch.ts";
import { routing } from "./routed.ts";

afterEach(undoAll);

const limits: IdempotencyLimits = { maxKeys: 100, maxBytes: 2 ** 20, ttlMs: 86_400_000 };

function taking(fallbacks: string[] = []) {
  const routed = routing({ fallbacks: () => fallbacks });
  const { clock, router, dispatcher } = routed;
  const storage = storageAt(":memory:", { clock, idempotency: limits });
  const { deadLetters: letters, idempotencyKeys: keys } = storage;
  const parked: number[] = [];
  const publisher = { publish: (name: string) => void parked.push(name.length) };
  const parking = new Parking({ clock, publisher, letters, ttlMs: 60_000, firstDelayMs: 1_000 });
  let id = 0;
  const newRequestId = () => `own-${++id}`;
  const idempotency = new Idempotency({ clock, keys, newRequestId, waitMs: 2_000, mostWaiting: 3 });
  const onFailureOf = (platform: string) => (platform === "discord" ? "park" : "refuse");
  const intake = new Intake({ router, parking, idempotency, onFailureOf });
  const begin = (request: Partial<IntakeRequest>) =>
    intake.take({ platform: "voice", payload: { say: "hi" }, ...request });
  const take = async (request: Partial<IntakeRequest>): Promise<TakenOnce> => {
    let taken: TakenOnce | undefined;
    void begin(request).then((value) => {
      taken = value;
    });
    for (let turn = 0; turn < 20_000 && !taken; turn++) await clock.advance(1);
    if (!taken) throw new Error("nothing within 20 s");
    return taken;
  };
  const shed = () => dispatcher.set("voice", { state: "shed", reason: "memory is short" });
  return { ...routed, storage, letters, keys, parked, begin, take, shed };
}

describe("parking", () => {
  test("what asks for it and cannot be answered is kept with what happened; else it is refused", async () => {
    const { take, shed, letters, parked } = taking();
    shed();
    expect((await take({})).outcome).toMatchObject({ kind: "refused", code: "plugin-shed" });
    const { outcome } = await take({ onFailure: "park", type: "say", headers: { traceparent: "t" } });
    expect(outcome).toMatchObject({ kind: "parked", deadLetterId: 1, letterKind: "shed", durable: false });
    expect(parked).toHaveLength(1);
    expect(letters.byId(1)).toMatchObject({
      platform: "voice",
      type: "say",
      payload: { say: "hi" },
      headers: { traceparent: "t" },
      kind: "shed",
      reason: "voice is shed: memory is short",
      attempts: [{ plugin: "voice", outcome: "shed", error: "voice is shed: memory is short" }],
    });
  });

  test("a fallback that answers comes before it", async () => {
    const { take, shed, storage } = taking(["stubs"]);
    shed();
    expect((await take({ onFailure: "park" })).outcome).toMatchObject({ kind: "answered", degraded: true });
    expect(storage.deadLetterQueries.list().deadLetters).toEqual([]);
  });

  test("by the configuration of the platform, which the request may overrule", async () => {
    const { take, dispatcher, letters } = taking();
    const answer = { ok: false, kind: "timeout", message: "too slow" } as const;
    dispatcher.behaviour.set("discord", { afterMs: 5, answer });
    expect((await take({ platform: "discord" })).outcome).toMatchObject({ letterKind: "timeout" });
    expect((await take({ platform: "discord", onFailure: "refuse" })).outcome.kind).toBe("refused");
    const letter = letters.byId(1);
    expect((letter?.nextAtMs ?? 0) - (letter?.parkedAtMs ?? 0)).toBe(1_000);
    expect(letter?.attempts[0]?.durationMs).toBe(5);
  });

  test("never what is at fault itself, went to nobody, or began to be answered", async () => {
    const { take } = taking();
    expect((await take({ platform: "fax", onFailure: "park" })).outcome).toMatchObject({ status: 404 });
    const aborted = AbortSignal.abort();
    expect((await take({ signal: aborted, onFailure: "park" })).outcome).toMatchObject({ status: 499 });
    for (const code of ["request-too-large", "router-busy", "shutting-down", "client-gone", "toString"])
      expect([code, parkedAs({ code })]).toEqual([code, null]);
    expect(parkedAs({ code: "plugin-crashed" })).toBe("crash");
    expect(parkedAs({ code: "plugin-crashed", streamed: true })).toBeNull();
  });

  test("that fails is the refusal, which says why", async () => {
    const { take, shed, storage, parked } = taking();
    shed();
    storage.close();
    const { outcome } = await take({ onFailure: "park" });
    expect(outcome).toMatchObject({ kind: "refused", status: 503, code: "plugin-shed" });
    expect(outcome.kind === "refused" && outcome.detail).toMatch(
      /^voice is shed: memory is short; it could not be kept either: the database .* cannot be used/,
    );
    expect(parked).toEqual([]);
  });

  test("attempts get the times at which they began", () => {
    const attempts = [
      { plugin: "a", outcome: "crash" as const, durationMs: 30, error: "gone" },
      { plugin: "b", outcome: "answered" as const, durationMs: 20 },
    ];
    expect(timedAttempts(attempts, 1_000)).toEqual([
      { atMs: 950, plugin: "a", outcome: "crash", error: "gone", durationMs: 30 },
      { atMs: 980, plugin: "b", outcome: "answered", error: null, durationMs: 20 },
    ]);
  });
});

describe("an idempotency key", () => {
  test("is carried out once; duplicates get the same answer", async () => {
    const { take, dispatcher } = taking();
    const first = await take({ idempotencyKey: "k", payload: { a: 1, b: [{ d: 1, c: 2 }] } });
    const again = await take({ idempotencyKey: "k", payload: { b: [{ c: 2, d: 1 }], a: 1 } });
    expect(first).toMatchObject({ repeated: false, outcome: { kind: "answered", result: "fine" } });
    expect(again).toEqual({ ...first, repeated: true });
    expect(dispatcher.calls).toHaveLength(1);
    expect(dispatcher.calls[0]?.request.idempotencyKey).toBe("k");
  });

  test("with another platform, type or payload is 422, under way and afterwards", async () => {
    const { begin, take, clock } = taking();
    const first = begin({ idempotencyKey: "k" });
    const reused = { outcome: { status: 422, code: "idempotency-key-reused" } };
    expect(await begin({ idempotencyKey: "k", payload: 2 })).toMatchObject(reused);
    await clock.advance(10);
    await first;
    for (const other of [{ platform: "discord" }, { type: "shout" }, { payload: null }])
      expect(await take({ idempotencyKey: "k", ...other })).toMatchObject(reused);
  });

  test("of 50 at once one is carried out, as many wait as may, the others are told to come again", async () => {
    const { begin, clock, dispatcher } = taking();
    dispatcher.behaviour.set("voice", { afterMs: 50, answer: { ok: true, result: "once" } });
    const all = Array.from({ length: 50 }, () => begin({ idempotencyKey: "k" }));
    await clock.advance(100);
    const taken = await Promise.all(all);
    expect(dispatcher.calls).toHaveLength(1);
    const answered = taken.filter(({ outcome }) => outcome.kind === "answered");
    expect(answered.map(({ repeated }) => repeated)).toEqual([false, true, true, true]);
    const refused = taken.flatMap(({ outcome }) => (outcome.kind === "refused" ? [outcome] : []));
    expect(refused).toHaveLength(46);
    for (const each of refused) expect(each).toMatchObject({ status: 409, retryAfterSeconds: 1 });
  });

  test("a duplicate waits at most 2 s, then is told to come again; later it gets the answer", async () => {
    const { begin, clock, dispatcher, take } = taking();
    dispatcher.behaviour.set("voice", { afterMs: 3_000, answer: { ok: true, result: "late" } });
    const first = begin({ idempotencyKey: "k" });
    const second = begin({ idempotencyKey: "k" });
    await clock.advance(2_100);
    expect(await second).toMatchObject({ outcome: { status: 409, code: "idempotency-key-in-use" } });
    await clock.advance(1_000);
    await first;
    expect(await take({ idempotencyKey: "k" })).toMatchObject({
      repeated: true,
      outcome: { result: "late" },
    });
  });

  test("of a request that was refused is free again", async () => {
    const { take, shed, dispatcher } = taking();
    shed();
    expect((await take({ idempotencyKey: "k" })).outcome.kind).toBe("refused");
    dispatcher.set("voice", { state: "ready" });
    expect(await take({ idempotencyKey: "k" })).toMatchObject({
      repeated: false,
      outcome: { kind: "answered" },
    });
  });

  test("of a parked request leads to the same dead letter, which counts as harmless to repeat", async () => {
    const { take, shed, storage, letters } = taking();
    shed();
    const first = await take({ idempotencyKey: "k", onFailure: "park" });
    expect(await take({ idempotencyKey: "k", onFailure: "park" })).toEqual({ ...first, repeated: true });
    expect(storage.deadLetterQueries.list().deadLetters).toHaveLength(1);
    expect(letters.byId(1)).toMatchObject({ idempotencyKey: "k", idempotent: true });
    await take({ idempotencyKey: "k2", onFailure: "park", idempotent: false });
    expect(letters.byId(2)).toMatchObject({ idempotent: false });
  });

  test("goes on when its client leaves, so that the answer is there when it asks again", async () => {
    const { begin, clock, dispatcher, take } = taking();
    dispatcher.behaviour.set("voice", { afterMs: 50, answer: { ok: true, result: "kept" } });
    const client = new AbortController();
    const first = begin({ idempotencyKey: "k", signal: client.signal });
    await clock.advance(10);
    client.abort();
    await clock.advance(100);
    await first;
    expect(await take({ idempotencyKey: "k" })).toMatchObject({
      repeated: true,
      outcome: { result: "kept" },
    });
  });

  test("that cannot be kept: nothing is carried out; an answer that cannot be kept is given and held", async () => {
    const { take, keys, dispatcher } = taking();
    const problem = { code: "STORAGE_DISK_FULL", message: "the disk is full" };
    const { reserve, finish } = keys;
    keys.reserve = () => problem;
    expect((await take({ idempotencyKey: "k" })).outcome).toMatchObject({
      status: 503,
      code: "idempotency-key-not-kept",
    });
    expect(dispatcher.calls).toEqual([]);
    keys.reserve = reserve;
    keys.finish = () => problem;
    expect((await take({ idempotencyKey: "k" })).outcome.kind).toBe("answered");
    keys.finish = finish;
    expect(await take({ idempotencyKey: "k" })).toMatchObject({
      repeated: true,
      outcome: { kind: "answered" },
    });
    expect(dispatcher.calls).toHaveLength(1);
  });

  test("the hash of a body keeps a __proto__ apart and tells types apart", () => {
    const hash = (text: string) => bodyHashOf({ platform: "voice", payload: JSON.parse(text) });
    const texts = ['{"__proto__":1}', "{}", "[]", "null", '"null"', "1", '"1"', '{"a":null}', '{"a":[]}'];
    expect(new Set(texts.map(hash)).size).toBe(texts.length);
  });
});
