/** The compiled conductor: requests to a shed plugin are kept, survive a SIGKILL, and are answered when it is back. */

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { cleanUpAfterEach } from "./clean-up.ts";
import { conductor as command } from "./one-command.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, pressing, quick, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();
const config = `budget: { memory: ${roomyBudget()} }\n${calm}deadLetters: { rate: 1000, onFailure: { echo: park } }\n`;

/** It answers after the time that the payload names. */
const slowFiles = {
  "plugins/slow/plugin.yaml": "name: slow\nversion: 1.0.0\nruntime: bun\nentry: index.ts\n",
  "plugins/slow/index.ts": `import { definePlugin } from "conductor/plugin";
export default definePlugin({
  handleRequest: async ({ payload }) => {
    await Bun.sleep(payload.ms);
    return { waited: payload.ms };
  },
});
`,
};

/** It notes each payload that it gets in a file of its own. */
const countingFiles = {
  "plugins/counting/plugin.yaml":
    "name: counting\nversion: 1.0.0\nruntime: bun\nentry: index.ts\npermissions: { write: [data] }\n",
  "plugins/counting/index.ts": `import { appendFileSync } from "node:fs";
import { definePlugin } from "conductor/plugin";
let folder;
export default definePlugin({
  initialize: (_, { dataFolder }) => { folder = dataFolder; },
  handleRequest: ({ payload }) => {
    appendFileSync(folder + "/notes", payload + "\\n");
    return payload;
  },
});
`,
};

interface Letter {
  id: number;
  state: string;
  stateReason: string | null;
  result: unknown;
  payload: unknown;
  closedAt: string | null;
  attempts: { outcome: string }[];
}
interface Letters {
  deadLetters: Letter[];
  counts: Record<string, number>;
}

async function started(options: Parameters<typeof RunningConductor.start>[0]): Promise<RunningConductor> {
  const running = await RunningConductor.start(options);
  defer(() => running.kill());
  return running;
}

const administrator = (running: RunningConductor) => ({ Authorization: `Bearer ${running.token}` });
const order = (running: RunningConductor, path: string, body: unknown = {}) =>
  running.post(path, body, administrator(running));
const letters = (running: RunningConductor, query = "") =>
  running.get<Letters>(`/api/v1/dead-letters${query}`);

test("what comes while a plugin is away is kept through a SIGKILL under load, and answered in order when it is back", async () => {
  const first = await started({ config, files: echoFiles("echo") });
  defer(() => first.remove());
  expect((await order(first, "/api/v1/plugins/echo/disable")).status).toBe(200);
  const acknowledged: number[] = [];
  let sending = true;
  const client = async (from: number) => {
    for (let n = from; sending; n += 4) {
      const response = await first
        .post("/api/v1/requests", { platform: "echo", payload: n })
        .catch(() => null);
      if (response === null) return;
      const body = (await response.json().catch(() => null)) as { deadLetter?: { id: number } } | null;
      if (response.status === 202 && body?.deadLetter) acknowledged.push(body.deadLetter.id);
    }
  };
  const clients = [1, 2, 3, 4].map(client);
  await until("some are kept", 20_000, () => acknowledged.length > 60);
  await first.kill();
  sending = false;
  await Promise.all(clients);

  const raw = new Database(join(first.folder, "state/conductor.db"));
  expect(raw.query("PRAGMA quick_check").values()).toEqual([["ok"]]);
  const kept = raw
    .query("SELECT id FROM dead_letters")
    .values()
    .map(([id]) => Number(id));
  raw.close();
  expect(acknowledged.filter((id) => !kept.includes(id))).toEqual([]);

  const second = await started({ config, folder: first.folder });
  expect((await order(second, "/api/v1/plugins/echo/enable")).status).toBe(200);
  await until(
    "all are answered",
    30_000,
    async () => (await letters(second)).counts.answered === kept.length,
  );
  const { deadLetters: newest } = await letters(second, "?limit=500");
  const closed = newest.map(({ closedAt }) => closedAt ?? "").reverse();
  expect(closed).toEqual([...closed].sort());
  const [oldest] = kept;
  const letter = await second.get<Letter>(`/api/v1/dead-letters/${oldest}`);
  expect(letter).toMatchObject({ state: "answered", result: { echo: letter.payload } });
  expect(letter.attempts.map(({ outcome }) => outcome)).toEqual(["disabled", "answered"]);
  await until("the metrics say so", 10_000, async () => {
    const metrics = await (await fetch(second.url("/metrics"))).text();
    return (
      metrics.includes(`conductor_dead_letters{state="answered"} ${kept.length}\n`) &&
      metrics.includes(`conductor_redrives_total{outcome="answered"} ${kept.length}\n`)
    );
  });
  expect(await second.terminate()).toBe(0);
}, 90_000);

test("killed in the middle of a redrive: held for a person, unless it does no harm twice; then by command", async () => {
  const files = { ...slowFiles, ...echoFiles("echo") };
  const first = await started({ config, files });
  defer(() => first.remove());
  await order(first, "/api/v1/plugins/slow/disable");
  const park = async (body: object) => {
    const response = await first.post("/api/v1/requests", { platform: "slow", onFailure: "park", ...body });
    expect(response.status).toBe(202);
  };
  await park({ payload: { ms: 3_000 } });
  await order(first, "/api/v1/plugins/slow/enable");
  await until("it is sent", 15_000, async () => {
    const raw = new Database(join(first.folder, "state/conductor.db"), { readonly: true });
    const [row] = raw.query("SELECT sent FROM dead_letters WHERE id = 1").values();
    raw.close();
    return row?.[0] === 1;
  });
  await first.kill();

  const second = await started({ config, folder: first.folder });
  expect(second.logged("deadletter.recovered")).toMatchObject([{ waiting: 0, held: 1 }]);
  const ask = (...args: string[]) =>
    command(["dead-letters", ...args, "--port", second.port], {
      cwd: second.folder,
      environment: { STATE_DIRECTORY: join(second.folder, "state") },
    });
  expect((await ask()).out).toMatch(
    /^ID +PARKED +PLATFORM +KIND +STATE +REDRIVES +REASON\n1 +2\S+Z +slow +disabled +waiting \(for a person\) +1 +conductor ended while/,
  );
  const shown = await ask("show", "1");
  expect(shown.out).toMatch(
    /^dead letter 1: waiting \(for a person\): conductor ended .* redrive or discard it$/m,
  );
  expect(shown.out).toMatch(/^ {2}payload {3}\{"ms":3000\}$/m);
  const redriven = await ask("redrive", "1");
  expect([redriven.code, redriven.out]).toEqual([0, "dead letter 1: answered: answered by slow\n"]);
  const exported = await ask("export", "--state", "answered");
  expect(JSON.parse(exported.out)).toMatchObject({ id: 1, state: "answered", result: { waited: 3_000 } });
  expect((await ask("discard", "1")).err).toContain("only one that waits or is poison");
  expect((await ask("discard", "--platform", "slow")).out).toBe("0 dead letters discarded\n");
  for (const wrong of [
    ["redrive"],
    ["show"],
    ["show", "x"],
    ["list", "1"],
    ["redrive", "1", "--all"],
    ["exprt"],
  ])
    expect([wrong, (await ask(...wrong)).code]).toEqual([wrong, 2]);
  expect(await second.terminate()).toBe(0);
}, 90_000);

test("killed while it redrives under load: what was recorded as answered was carried out once and is not sent again", async () => {
  // Slow enough for the kill to come in the middle.
  const slowly = config.replace("rate: 1000", "rate: 100");
  const first = await started({ config: slowly, files: countingFiles });
  defer(() => first.remove());
  await order(first, "/api/v1/plugins/counting/disable");
  const letterCount = 300;
  for (let n = 1; n <= letterCount; n++) {
    const body = { platform: "counting", payload: n, onFailure: "park" };
    expect((await first.post("/api/v1/requests", body)).status).toBe(202);
  }
  await order(first, "/api/v1/plugins/counting/enable");
  await until("some are answered", 20_000, async () => ((await letters(first)).counts.answered ?? 0) > 20);
  await first.kill();
  const raw = new Database(join(first.folder, "state/conductor.db"));
  expect(raw.query("PRAGMA quick_check").values()).toEqual([["ok"]]);
  const answered = raw.query("SELECT payload FROM dead_letters WHERE state = 'answered'").values();
  raw.close();
  expect(answered.length).toBeLessThan(letterCount);

  const second = await started({ config, folder: first.folder });
  await until("all but what is held are answered", 40_000, async () => {
    const { counts } = await letters(second);
    return (counts.answered ?? 0) + (counts.waiting ?? 0) === letterCount && (counts.waiting ?? 0) <= 1;
  });
  const held = (await letters(second, "?state=waiting")).deadLetters;
  for (const { stateReason } of held) expect(stateReason).toContain("a person has to redrive or discard it");
  expect(await second.terminate()).toBe(0);
  const [notes = ""] = new Glob("state/**/notes").scanSync({ cwd: first.folder });
  const lines = readFileSync(join(first.folder, notes), "utf8").trimEnd().split("\n").map(Number);
  // Not idempotent: each was carried out once, in order, and only the one that is held may not have been.
  expect(lines).toEqual([...new Set(lines)].sort((a, b) => a - b));
  expect(lines.length).toBeGreaterThanOrEqual(letterCount - held.length);
}, 120_000);

test("to a shed platform with no stand-in: 202, and answered by itself when there is room again", async () => {
  const base = `budget: { memory: ${roomyBudget()} }\n${quick}`;
  const running = await started({
    config: base + calm,
    files: { ...echoFiles("echo"), ...echoFiles("last") },
  });
  defer(() => running.remove());
  running.reload(base + (await pressing(running, ["echo", "last"])));
  await until("it is shed", 15_000, async () => (await running.states()).echo === "shed");
  const request = { platform: "echo", payload: "kept", onFailure: "park" };
  const stood = await running.post("/api/v1/requests", request);
  expect([stood.status, await stood.json()]).toMatchObject([200, { degraded: true, plugin: "last" }]);
  await order(running, "/api/v1/plugins/last/disable");
  const parked = await running.post("/api/v1/requests", request);
  expect(parked.status).toBe(202);
  const location = parked.headers.get("location") ?? "";
  expect(await parked.json()).toMatchObject({ deadLetter: { kind: "shed", durable: true }, location });
  expect(await running.get<Letter>(location)).toMatchObject({ state: "waiting" });
  running.reload(base + calm);
  await until(
    "it is answered",
    20_000,
    async () => (await running.get<Letter>(location)).state === "answered",
  );
  expect(await running.get<Letter>(location)).toMatchObject({ result: { echo: "kept" } });
  expect(await running.terminate()).toBe(0);
}, 90_000);

test("an answer is given once for a key, which the plugin gets too, after a restart too", async () => {
  const files = {
    "plugins/echo/plugin.yaml": "name: echo\nversion: 1.0.0\nruntime: bun\nentry: index.ts\n",
    "plugins/echo/index.ts": `import { definePlugin } from "conductor/plugin";
export default definePlugin({ handleRequest: (request) => request.idempotencyKey ?? null });
`,
  };
  const first = await started({ config, files });
  defer(() => first.remove());
  const ask = (running: RunningConductor, payload: unknown) =>
    running.post("/api/v1/requests", { platform: "echo", payload }, { "Idempotency-Key": "order-17" });
  const before = (await (await ask(first, 1)).json()) as { requestId: string };
  expect(before).toMatchObject({ result: "order-17", degraded: false });
  expect(await first.terminate()).toBe(0);
  const second = await started({ config, folder: first.folder });
  const again = await ask(second, 1);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(await again.json()).toEqual(before);
  expect((await ask(second, 2)).status).toBe(422);
}, 60_000);

test("what a rule sends elsewhere waits for that plugin, though none serves the platform it names", async () => {
  const ruled = `${config}routing: { rules: [{ when: { type: command }, to: echo }] }\n`;
  const running = await started({ config: ruled, files: { ...echoFiles("echo"), ...echoFiles("other") } });
  defer(() => running.remove());
  await order(running, "/api/v1/plugins/echo/disable");
  for (const platform of ["phone", "other"]) {
    const body = { platform, type: "command", payload: platform, onFailure: "park" };
    expect((await running.post("/api/v1/requests", body)).status).toBe(202);
  }
  // The plugin of one of them is ready all the time: it does not get what is not meant for it.
  expect((await letters(running)).counts).toMatchObject({ waiting: 2, answered: 0 });
  expect((await order(running, "/api/v1/plugins/echo/enable")).status).toBe(200);
  const answered = await until("both are answered", 5_000, async () => {
    const { deadLetters, counts } = await letters(running);
    return counts.answered === 2 && deadLetters;
  });
  expect(new Set(answered.map(({ stateReason }) => stateReason))).toEqual(new Set(["answered by echo"]));
}, 20_000);
