/**
 * The compiled conductor, killed again and again under load, each time at a seeded moment: the database stays sound, what
 * was acknowledged is there exactly once, and breakers stand as they were put.
 *
 * KILLS: how often (default 10; 50 by hand). KILL_SEED: the seed that an earlier run printed, to repeat it.
 */

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../forecast/seeded-random.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { processesIn } from "./processes.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const kills = Number(process.env.KILLS ?? 10);
const seed = Number(process.env.KILL_SEED ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const clients = 4;
/** They are sent one after the other, each with three writes that reach the disk. */
const mostMsALetter = 20;
/** Half of the requests have a key, so both ways into the database are taken. */
const keyed = (n: number): boolean => n % 2 === 0;

// A breaker that opened by hand would let a request through after its reset: that is later than the test.
const config = `budget: { memory: ${roomyBudget()} }
${calm}plugins: { dirs: [plugins], bundled: false }
breaker: { reset: 1h, mostReset: 1h }
deadLetters: { rate: 1000, maxCount: 1000000, maxBytes: 1GiB, onFailure: { parks: park } }
`;
const files = { ...echoFiles("parks"), ...echoFiles("guarded"), ...echoFiles("spare") };
const guarded = ["guarded", "spare"] as const;

/** What was acknowledged over all runs. */
interface Book {
  /** By the payload of the request: the id of its dead letter. */
  letters: Map<number, number>;
  breakers: Map<string, "open" | "closed">;
  /** Dead letters that were seen as answered. */
  answered: Set<number>;
  next: number;
}

async function run(folder?: string, state: "ready" | "spawned" = "ready"): Promise<RunningConductor> {
  const conductor = await RunningConductor.start({
    config,
    until: state,
    ...(folder === undefined ? { files } : { folder }),
  });
  defer(() => conductor.kill());
  return conductor;
}

const order = async (conductor: RunningConductor, path: string, body: unknown = {}): Promise<number> => {
  const headers = { Authorization: `Bearer ${conductor.token}` };
  return (await conductor.post(path, body, headers)).status;
};

/** Sends one request after the other until the connection ends, and enters each 202. */
async function client(conductor: RunningConductor, book: Book): Promise<void> {
  for (;;) {
    const payload = book.next++;
    const key = keyed(payload) ? { idempotencyKey: `key-${payload}` } : {};
    try {
      const response = await conductor.post("/api/v1/requests", { platform: "parks", payload, ...key });
      const body = (await response.json()) as { deadLetter?: { id: number } };
      if (response.status === 202 && body.deadLetter) book.letters.set(payload, body.deadLetter.id);
    } catch {
      return; // It was killed: what was not acknowledged may be there or not.
    }
  }
}

/** Puts one of the breakers the other way, by hand, and enters it. */
async function moveBreaker(conductor: RunningConductor, book: Book, platform: string): Promise<void> {
  const [action, state] = book.breakers.get(platform) === "open" ? ["close", "closed"] : ["open", "open"];
  expect(await order(conductor, `/api/v1/breakers/${platform}/${action}`, { reason: "by hand" })).toBe(200);
  book.breakers.set(platform, state as "open" | "closed");
}

async function breakersOf(conductor: RunningConductor): Promise<Map<string, string>> {
  const { breakers } = await conductor.get<{ breakers: { platform: string; state: string }[] }>(
    "/api/v1/breakers",
  );
  return new Map(breakers.map(({ platform, state }) => [platform, state]));
}

/** A copy of the database as the kill left it, so that the next run finds the write-ahead log untouched. */
function copied(folder: string): string {
  const copy = join(folder, "copy.db");
  for (const suffix of ["", "-wal"]) {
    rmSync(copy + suffix, { force: true });
    const from = join(folder, `state/conductor.db${suffix}`);
    if (existsSync(from)) copyFileSync(from, copy + suffix);
  }
  return copy;
}

/** Reads the database; yields what contradicts the book. */
function contradictions(folder: string, book: Book): string[] {
  const raw = new Database(copied(folder));
  try {
    const wrong = raw
      .query("PRAGMA quick_check")
      .values()
      .flatMap(([said]) => (said === "ok" ? [] : [`quick_check: ${said}`]));
    const rows = raw.query("SELECT payload, id, state FROM dead_letters").values();
    const ids = Map.groupBy(rows, ([payload]) => Number(payload));
    for (const [payload, id] of book.letters) {
      const found = (ids.get(payload) ?? []).map(([, each]) => Number(each));
      if (found.length !== 1 || found[0] !== id)
        wrong.push(`${payload}: acknowledged as ${id}, found as ${found.join(", ") || "none"}`);
    }
    for (const [payload, same] of ids) if (same.length > 1) wrong.push(`${payload}: ${same.length} letters`);
    const answered = new Set(rows.filter(([, , state]) => state === "answered").map(([, id]) => Number(id)));
    for (const id of book.answered) if (!answered.has(id)) wrong.push(`letter ${id}: no longer answered`);
    book.answered = answered;
    return wrong;
  } finally {
    raw.close();
  }
}

interface Waiting {
  counts: Record<string, number>;
  heldForAPerson: number;
}

/** Waits until no dead letter waits but for a person; yields how many were sent a second. */
async function allSent(conductor: RunningConductor): Promise<string> {
  const waiting = async () => {
    const { counts, heldForAPerson } = await conductor.get<Waiting>("/api/v1/dead-letters");
    return (counts.waiting ?? 0) + (counts.redriving ?? 0) - heldForAPerson;
  };
  const first = await waiting();
  const beganMs = performance.now();
  await until("no dead letter waits but for a person", 30_000 + first * mostMsALetter, async () => {
    const left = await waiting();
    if (left > 0) throw new Error(`${left} of ${first} wait`);
    return true;
  });
  return `the last ${first} were sent in ${((performance.now() - beganMs) / 1_000).toFixed(1)} s`;
}

test(
  "killed at any moment under load, it loses nothing that it acknowledged, and breakers stand as they were put",
  async () => {
    console.log(`KILL_SEED=${seed} KILLS=${kills}`);
    const random = seededRandom(seed);
    const book: Book = { letters: new Map(), breakers: new Map(), answered: new Set(), next: 1 };
    let conductor = await run();
    const { folder } = conductor;
    defer(() => conductor.remove());
    let duringStart = 0;
    for (let kill = 1; kill <= kills; kill++) {
      // Dead letters of the run before are redriven until now, and go on to be when it is enabled in the middle.
      expect(await order(conductor, "/api/v1/plugins/parks/disable")).toBe(200);
      await moveBreaker(conductor, book, random.pick(guarded));
      const before = book.letters.size;
      const sending = Array.from({ length: clients }, () => client(conductor, book));
      await until("one is kept", 20_000, () => book.letters.size > before);
      await Bun.sleep(random.below(600));
      const enabling = random.unit() < 0.5 ? order(conductor, "/api/v1/plugins/parks/enable") : null;
      // It is killed under it, or a moment after.
      const enabled = enabling?.catch(() => 0);
      await Bun.sleep(random.below(150));
      await conductor.kill();
      await Promise.all([...sending, enabled]);
      expect(contradictions(folder, book)).toEqual([]);

      if (random.unit() < 0.3) {
        duringStart++;
        const starting = await run(folder, "spawned");
        await Bun.sleep(random.below(200));
        await starting.kill();
        expect(contradictions(folder, book)).toEqual([]);
      }
      conductor = await run(folder);
      const standing = await breakersOf(conductor);
      for (const [platform, state] of book.breakers)
        expect([kill, platform, standing.get(platform)]).toEqual([kill, platform, state]);
    }
    // It may have been disabled when it was killed, and is so still.
    expect(await order(conductor, "/api/v1/plugins/parks/enable")).toBe(200);
    const drained = await allSent(conductor);
    expect(await conductor.terminate()).toBe(0);
    expect(contradictions(folder, book)).toEqual([]);
    expect(processesIn(folder)).toEqual([]);
    console.log(
      `${kills} kills under load and ${duringStart} while starting: ${book.letters.size} dead letters acknowledged, ` +
        `${book.answered.size} letters answered, nothing lost or doubled; ${drained}`,
    );
  },
  60_000 + kills * 30_000,
);
