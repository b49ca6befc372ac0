/**
 * The compiled conductor under a steady load while plugins are killed, stopped, slowed and ordered about: each request
 * ends in exactly one way, and the platform that nobody touches sees nothing of it.
 *
 * CHAOS_SECONDS: how long (default 15; 120 in .ci/run). CHAOS_SEED: the seed that an earlier run printed, to repeat it.
 */

import { expect, test } from "bun:test";
import { seededRandom } from "../forecast/seeded-random.ts";
import { ChaosAgent } from "./chaos-agent.ts";
import { ChaosLedger, type KeptLetter, miscounted, outcomeTable, refusals, wrongIn } from "./chaos-ledger.ts";
import { carriedOut, chaosConfig, chaosFiles, untouched } from "./chaos-plugins.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { OpenLoop, postText } from "./open-loop.ts";
import { processesIn } from "./processes.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const seconds = Number(process.env.CHAOS_SECONDS ?? 15);
const seed = Number(process.env.CHAOS_SEED ?? crypto.getRandomValues(new Uint32Array(1))[0]);
/** To all platforms together. */
const perSecond = 60;

async function started(): Promise<RunningConductor> {
  const config = `budget: { memory: ${roomyBudget()} }\n${calm}${chaosConfig}`;
  const conductor = await RunningConductor.start({ config, files: chaosFiles });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  return conductor;
}

async function lettersOf(conductor: RunningConductor): Promise<Map<number, KeptLetter>> {
  const headers = { Authorization: `Bearer ${conductor.token}` };
  const response = await fetch(conductor.url("/api/v1/dead-letters/export"), { headers });
  const lines = (await response.text()).split("\n").filter((line) => line !== "");
  const letters = lines.map((line) => JSON.parse(line) as KeptLetter);
  return new Map(letters.map((letter) => [letter.id, letter]));
}

/** Every plugin is ready, and no dead letter waits any more. */
async function recovered(conductor: RunningConductor): Promise<void> {
  await until("every plugin is ready again", 30_000, async () =>
    Object.values(await conductor.states()).every((state) => state === "ready"),
  );
  await until("no dead letter waits", 30_000, async () => {
    const { counts } = await conductor.get<{ counts: Record<string, number> }>("/api/v1/dead-letters");
    return counts.waiting === 0;
  });
}

test("the ledger tells right from wrong", () => {
  const asked = { platform: "bravo" as const, id: "r1", key: "key-r1" };
  const given = (answer: string, more = 0) => ({
    ...asked,
    outcome: "answered" as const,
    answer: { id: "r1", dueMs: 0, latencyMs: 1, status: 200, body: "", more },
    body: { requestId: answer, result: { id: "r1", answer }, attempts: [{ outcome: "answered" }] },
  });
  const none = new Map<number, KeptLetter>();
  expect(wrongIn([given("a"), given("a")])).toEqual([]);
  expect(wrongIn([given("a"), given("b")])).toEqual(["r1: one key, two answers: a and b"]);
  expect(wrongIn([given("a", 1)])).toEqual(["r1: 1 answers more"]);
  expect(wrongIn([{ ...given("a"), outcome: "lost" }])).toEqual(["r1: lost: 200 "]);
  expect(miscounted([given("a"), given("a")], none, new Map([["r1", 1]]))).toEqual([]);
  expect(miscounted([given("a"), given("a")], none, new Map([["r1", 2]]))).toEqual([
    "r1: carried out 2 times, sent 1",
  ]);
  expect(miscounted([given("a")], none, new Map())).toEqual(["r1: answered, never carried out"]);

  const ledger = new ChaosLedger(seededRandom(1));
  ledger.next("r1");
  const answer = { id: "r1", dueMs: 0, latencyMs: 1, status: 202, body: '{"deadLetter":{"id":7}}', more: 0 };
  const letter = {
    id: 7,
    state: "poison",
    stateReason: null,
    payload: { id: "r1" },
    attempts: [],
    result: null,
  };
  const outcomeWith = (letters: Map<number, KeptLetter>) => ledger.entries([answer], letters)[0]?.outcome;
  expect(outcomeWith(new Map([[7, letter]]))).toBe("poison");
  expect(outcomeWith(new Map([[7, { ...letter, state: "discarded" }]]))).toBe("lost");
  expect(outcomeWith(none)).toBe("lost");
});

test(
  "whatever is done to plugins, each request ends in one way, and who is left alone sees nothing of it",
  async () => {
    console.log(`CHAOS_SEED=${seed} CHAOS_SECONDS=${seconds}`);
    const conductor = await started();
    const ledger = new ChaosLedger(seededRandom(seed));
    const agent = new ChaosAgent(conductor, seededRandom(seed + 1));
    const port = Number(conductor.port);
    const text = (id: string) => postText(port, "/api/v1/requests", ledger.next(id));
    const loop = new OpenLoop({ port, perSecond, text });
    loop.start();
    agent.start();
    await Bun.sleep(seconds * 1_000);
    // On a busy machine attacks take longer, and fewer than one a second may not show every way of ending.
    await until("as many attacks as seconds", seconds * 3_000, () => agent.attacks >= seconds);
    await agent.stop();
    const answers = await loop.stop();
    await recovered(conductor);

    const letters = await lettersOf(conductor);
    const entries = ledger.entries(answers, letters);
    const done = [...agent.done].map(([attack, count]) => `${attack} ${count}`).join(", ");
    console.log(`${outcomeTable(entries)}\nrefused: ${refusals(entries)}\nattacks: ${done}`);
    expect(wrongIn(entries)).toEqual([]);
    expect(miscounted(entries, letters, await carriedOut(conductor.folder))).toEqual([]);
    expect(agent.refusedOrders).toEqual([]);
    const left = entries.filter(({ platform }) => platform === untouched);
    expect(left.filter(({ outcome }) => outcome !== "answered")).toEqual([]);
    expect(left.length).toBeGreaterThan(seconds * 10);
    // The attacks did harm: else the rest would show nothing.
    const ways = new Set(entries.map(({ outcome }) => outcome));
    expect([...ways]).toEqual(expect.arrayContaining(["answered", "fallback", "refused", "letter answered"]));

    expect(await conductor.terminate()).toBe(0);
    expect(processesIn(conductor.folder)).toEqual([]);
  },
  seconds * 4_000 + 120_000,
);
