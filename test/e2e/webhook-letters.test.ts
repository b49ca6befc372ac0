/** Events that a webhook did not take outlive conductor, and arrive once the receiver takes them. */

import { expect, test } from "bun:test";
import { type Received, receiver } from "../webhooks/receiver.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { conductor as command } from "./one-command.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { calm, roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();

interface Listed {
  webhooks: { waiting: number; attempt: number; undelivered: number }[];
  undelivered: { id: number; attempts: number; reason: string; state: string; event: { id: string } }[];
  kept: { count: number };
  durable: boolean;
}

/** A receiver that answers 500 until it is told to take what comes; `acknowledged` are those that it took. */
function flaky() {
  const acknowledged: Received[] = [];
  const state = { takes: false, acknowledged };
  const { url, end, received } = receiver((each) => {
    if (!state.takes) return new Response("not now", { status: 500 });
    acknowledged.push(each);
    return new Response(null, { status: 204 });
  });
  defer(end);
  return Object.assign(state, { url, received });
}

async function started(url: string, folder?: string): Promise<RunningConductor> {
  // One attempt for each event, and no look at the letters before the receiver took something.
  const conductor = await RunningConductor.start({
    config: `budget: { memory: ${roomyBudget()} }\n${calm}
webhooks:
  - { name: ops, url: "${url}", events: [plugin.state], attempts: 1, backoff: { initial: 1m, max: 1h } }
`,
    files: echoFiles("echo"),
    ...(folder === undefined ? {} : { folder }),
  });
  defer(() => conductor.remove());
  defer(() => conductor.kill());
  return conductor;
}

const hooksOf = (conductor: RunningConductor) => conductor.get<Listed>("/api/v1/webhooks");
const authorization = (conductor: RunningConductor) => ({ Authorization: `Bearer ${conductor.token}` });

async function restartEcho(conductor: RunningConductor): Promise<void> {
  const path = "/api/v1/plugins/echo/restart";
  const { status } = await conductor.post(path, {}, authorization(conductor));
  expect(status).toBeLessThan(300);
}

/** The ids of what is kept, the oldest first, once nothing is under way. */
const keptIds = (conductor: RunningConductor, atLeast: number): Promise<string[]> =>
  until("all are kept", 10_000, async () => {
    const { webhooks, undelivered } = await hooksOf(conductor);
    const [hook] = webhooks;
    const quiet = hook?.waiting === 0 && hook.attempt === 0 && hook.undelivered === undelivered.length;
    return quiet && undelivered.length >= atLeast && undelivered.map(({ event }) => event.id).toReversed();
  });

const eventIds = (received: readonly Received[], run: string): string[] =>
  received.map(({ event }) => event.id).filter((id) => id.startsWith(run));

test("what was given up is there after SIGKILL, and arrives in order, each acknowledged once", async () => {
  const to = flaky();
  const first = await started(to.url);
  for (let restarts = 0; restarts < 2; restarts++) await restartEcho(first);
  const ids = await keptIds(first, 6);
  const [run = ""] = (ids[0] ?? "").split("-");
  expect(ids).toEqual(eventIds(to.received, run));
  const { undelivered, durable } = await hooksOf(first);
  expect(durable).toBe(true);
  expect(undelivered[0]).toMatchObject({
    attempts: 1,
    reason: "HTTP 500, after 1 attempts",
    state: "waiting",
  });
  await first.kill();

  // The receiver is still down: the letters wait, and so do those of the second run.
  const second = await started(to.url, first.folder);
  await until("the oldest was tried again", 10_000, () => eventIds(to.received, run).length > ids.length);
  expect(eventIds(to.received, run).at(-1)).toBe(ids[0] ?? "");
  expect(to.acknowledged).toEqual([]);
  const later = await until("its events are kept", 10_000, async () => {
    const { kept, webhooks } = await hooksOf(second);
    const { waiting, attempt, undelivered: own } = webhooks[0] ?? { waiting: 1, attempt: 0, undelivered: 0 };
    return waiting + attempt === 0 && own > 0 && kept.count === ids.length + own && kept.count;
  });
  expect(later).toBeGreaterThan(ids.length);
  await second.kill();

  to.takes = true;
  const third = await started(to.url, first.folder);
  await until("nothing is kept", 30_000, async () => (await hooksOf(third)).kept.count === 0);
  expect(eventIds(to.acknowledged, run)).toEqual(ids);
  const all = to.acknowledged.map(({ event }) => event.id);
  expect(new Set(all).size).toBe(all.length);
  for (const { headers, event } of to.acknowledged) {
    expect(headers.get("conductor-delivery")).toBe(event.id);
    if (event.id.startsWith(run)) expect(headers.get("conductor-attempt")).toBe("2");
  }
  const metrics = await (await fetch(third.url("/metrics"))).text();
  expect(metrics).toContain(`conductor_webhook_deliveries_total{outcome="redelivered"} ${later}\n`);
}, 90_000);

test("what waits when conductor ends is kept too; a person may discard a letter, and have the rest sent", async () => {
  const to = flaky();
  const first = await started(to.url);
  const before = await keptIds(first, 2);
  expect(await first.terminate()).toBe(0);

  const second = await started(to.url, first.folder);
  await until("the oldest was tried again", 10_000, () =>
    to.received.some(
      ({ event, headers }) => event.id === before[0] && headers.get("conductor-attempt") === "2",
    ),
  );
  const { undelivered } = await hooksOf(second);
  const [oldest, next] = undelivered.toReversed();
  expect([oldest?.event.id, next?.event.id]).toEqual(before.slice(0, 2));
  // The end of the first run was announced as well.
  const [run = ""] = (before[0] ?? "").split("-");
  const ofFirst = undelivered.map(({ event }) => event.id).filter((id) => id.startsWith(run));
  expect(ofFirst.length).toBeGreaterThan(before.length);
  const path = `/api/v1/webhooks/dead-letters/${oldest?.id}`;
  const remove = (headers: Record<string, string>) => fetch(second.url(path), { method: "DELETE", headers });
  expect((await remove({})).status).toBe(401);
  const removed = await remove(authorization(second));
  expect([removed.status, await removed.json()]).toMatchObject([
    200,
    { id: oldest?.id, event: oldest?.event },
  ]);
  expect((await remove(authorization(second))).status).toBe(404);

  to.takes = true;
  const order = "/api/v1/webhooks/dead-letters/redrive";
  expect((await second.post(order, { all: true })).status).toBe(401);
  const answer = await second.post(order, { ids: [next?.id] }, authorization(second));
  expect([answer.status, await answer.json()]).toEqual([202, { released: 1 }]);
  await until("nothing is kept", 30_000, async () => (await hooksOf(second)).kept.count === 0);
  expect(eventIds(to.acknowledged, run)).toEqual(ofFirst.toReversed().slice(1));
}, 60_000);

test("the command lists, delivers and discards them", async () => {
  const to = flaky();
  const running = await started(to.url);
  const ids = await keptIds(running, 2);
  const ask = (...args: string[]) =>
    command(["dead-letters", "--webhooks", ...args, "--port", running.port], {
      cwd: running.folder,
      environment: { STATE_DIRECTORY: `${running.folder}/state` },
    });
  const listed = await ask();
  expect(listed.out).toMatch(/^ID +GIVEN UP +WEBHOOK +EVENT +STATE +REDRIVES +REASON\n/);
  expect(listed.out).toMatch(/^1 +\S+Z +ops +plugin\.state +waiting +0 +HTTP 500, after 1 attempts$/m);
  expect(await ask("discard", "1")).toMatchObject({ code: 0, out: "undelivered event 1: discarded\n" });
  expect(await ask("discard", "1")).toMatchObject({ code: 1 });
  to.takes = true;
  const { out } = await ask("redrive", "--all");
  expect(out).toStartWith(`${ids.length - 1} undelivered event`);
  await until("nothing is kept", 30_000, async () => (await hooksOf(running)).kept.count === 0);
  expect(to.acknowledged.map(({ event }) => event.id)).toEqual(ids.slice(1));
  expect(await ask()).toMatchObject({ code: 0, out: "no undelivered events\n" });
  for (const [args, problem] of [
    [["redrive"], "redrive: expected either the number of a letter or --all"],
    [["discard"], "discard: expected the number of a letter"],
    [["discard", "x"], "x: expected the number of a letter"],
    [["show", "1"], "show: expected one of list, redrive, discard"],
    [["list", "--kind", "shed"], "--kind: not with --webhooks list"],
  ] as const)
    expect(await ask(...args)).toMatchObject({ code: 2, err: expect.stringContaining(problem) });
}, 60_000);
