/** Several processes of one plugin, and requests that say which of them is to be asked. */

import { afterEach, expect, test } from "bun:test";
import type { InstanceChoice } from "../../src/plugins/balance.ts";
import { bunPlugin, eventually, type Harness, harness, request } from "./harness.ts";

let open: Harness | null = null;
afterEach(async () => {
  await open?.end();
  open = null;
});

const code = `let working = 0, most = 0;
export default definePlugin({
  handleRequest: async ({ type, payload }) => {
    if (type === "exit") process.exit(3);
    most = Math.max(most, ++working);
    if (type === "sleep") await Bun.sleep(payload as number);
    working--;
    return { pid: process.pid, most };
  },
});`;

async function start(more: string): Promise<Harness> {
  open = await harness({ bot: bunPlugin("bot", code, more) });
  await open.manager.startAll();
  return open;
}

interface Answer {
  pid: number;
  most: number;
}

async function ask(it: Harness, route: InstanceChoice, type = "message", payload = 0, timeoutMs = 10_000) {
  const answer = await it.manager.dispatch("bot", request(type, payload), { timeoutMs, route });
  return answer.ok ? (answer.value as unknown as Answer) : answer;
}

const pidOf = async (it: Harness, route: InstanceChoice, type?: string): Promise<number> => {
  const answer = await ask(it, route, type);
  if ("pid" in answer) return answer.pid;
  throw new Error(answer.message);
};

const hashed = (key: string): InstanceChoice => ({ balance: "hash", key });
const keys = Array.from({ length: 24 }, (_, index) => `user-${index}`);

const homes = async (it: Harness) => {
  const found = new Map<string, number>();
  for (const key of keys) found.set(key, await pidOf(it, hashed(key)));
  return found;
};

test("round robin asks each in turn, one after the other", async () => {
  const it = await start("instances: 3\n");
  const pids: number[] = [];
  for (let i = 0; i < 6; i++) pids.push(await pidOf(it, { balance: "round-robin" }));
  expect(new Set(pids).size).toBe(3);
  expect(pids.slice(3)).toEqual(pids.slice(0, 3));
});

test("a conversation stays on its process while that lives; what a crash moved comes back with the process", async () => {
  const it = await start("instances: 3\nrecovery: { backoff: { initial: 100ms } }\n");
  const before = await homes(it);
  expect(new Set(before.values()).size).toBe(3);
  expect(await homes(it)).toEqual(before);

  const [victim = ""] = keys;
  const lost = before.get(victim);
  await ask(it, hashed(victim), "exit");
  await eventually(() => it.manager.view("bot")?.instances.running === 2);
  for (const key of keys) {
    const now = await pidOf(it, hashed(key));
    if (before.get(key) === lost) expect(now).not.toBe(lost as number);
    else expect(now).toBe(before.get(key) as number);
  }
  await eventually(() => it.manager.view("bot")?.instances.running === 3);
  const after = await homes(it);
  const [fresh] = [...new Set(after.values())].filter((pid) => ![...before.values()].includes(pid));
  for (const key of keys)
    expect(after.get(key)).toBe((before.get(key) === lost ? fresh : before.get(key)) as number);
});

test("scaling moves only what the new processes take", async () => {
  const it = await start("instances: 2\n");
  const before = await homes(it);
  await it.manager.scale("bot", 3);
  const after = await homes(it);
  const moved = keys.filter((key) => after.get(key) !== before.get(key));
  expect(new Set(moved.map((key) => after.get(key))).size).toBe(1);
  expect(moved.length).toBeLessThan(keys.length / 2);
  await it.manager.scale("bot", 2);
  expect(await homes(it)).toEqual(before);
});

test("no process works on more than limits.concurrency: a conversation waits for its own, within its deadline", async () => {
  const it = await start("instances: 2\nlimits: { concurrency: 1 }\n");
  const two = await Promise.all([1, 2].map(() => ask(it, hashed("user"), "sleep", 100)));
  expect(two).toMatchObject([{ most: 1 }, { most: 1 }]);
  expect(new Set(two.map((answer) => "pid" in answer && answer.pid)).size).toBe(1);

  const long = ask(it, hashed("user"), "sleep", 1_000);
  expect(await ask(it, hashed("user"), "message", 0, 100)).toMatchObject({
    ok: false,
    kind: "timeout",
    message: expect.stringContaining("for its process of bot"),
  });
  expect(await long).toMatchObject({ most: 1 });
});

test("a request that waits for its process does not wait on when that one ends, and the next goes to another", async () => {
  const it = await start("instances: 2\nlimits: { concurrency: 1 }\nrecovery: { restart: never }\n");
  const home = await pidOf(it, hashed("user"));
  const long = ask(it, hashed("user"), "sleep", 60_000);
  const waiting = ask(it, hashed("user"));
  process.kill(home, "SIGKILL");
  expect(await long).toMatchObject({ ok: false, kind: "crashed" });
  // The socket may have closed before the process was seen to end: then it is told the same.
  const answer = await waiting;
  if ("pid" in answer) expect(answer.pid).not.toBe(home);
  else expect(answer.kind).toBe("crashed");
  await eventually(() => it.manager.view("bot")?.instances.running === 1);
  expect(await pidOf(it, hashed("user"))).not.toBe(home);
}, 20_000);
