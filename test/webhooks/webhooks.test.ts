/** Webhooks against real receivers: well, slow, failing, hanging, redirecting, closing, gone. */

import { afterEach, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:net";
import { SystemClock } from "../../src/clock.ts";
import { EventBus } from "../../src/events/bus.ts";
import { post } from "../../src/webhooks/post.ts";
import type { WebhookSettings } from "../../src/webhooks/webhook.ts";
import { Webhooks } from "../../src/webhooks/webhooks.ts";
import { eventually } from "../plugins/harness.ts";
import { recordedLog, storageAt, undoAll } from "../storage/scratch.ts";
import { type Answer, receiver } from "./receiver.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await undoAll();
});

const clock = new SystemClock();
const settings = (url: string, more: Partial<WebhookSettings> = {}): WebhookSettings => ({
  name: "ops",
  url,
  events: ["*"],
  secret: null,
  timeoutMs: 5_000,
  attempts: 3,
  backoff: { initialMs: 1, maxMs: 10 },
  ...more,
});

function hooksTo(...all: WebhookSettings[]) {
  const { log, lines } = recordedLog();
  const bus = new EventBus(clock, log, "run");
  const outcomes: string[] = [];
  const { webhookLetters: letters } = storageAt(":memory:");
  const webhooks = new Webhooks(all, {
    clock,
    log,
    bus,
    post,
    random: () => 0.5,
    version: "1.2.3",
    counted: (outcome, webhook) => outcomes.push(`${webhook} ${outcome}`),
    letters,
  });
  ends.push(() => webhooks.stop());
  /** The oldest first. */
  const undelivered = () =>
    letters
      .list(1_000)
      .toReversed()
      .map(({ webhook, eventId, reason }) => `${webhook} ${eventId} ${reason}`);
  const publish = (source: string) => bus.publish("monitor.gap", { source, error: "it failed" });
  return { bus, webhooks, letters, lines, outcomes, undelivered, publish };
}

function receiving(answer: Answer) {
  const made = receiver(answer);
  ends.push(() => made.end());
  return made;
}

const ok = () => new Response(null, { status: 204 });

describe("a delivery", () => {
  test("is a POST of the event as JSON, signed over time and body", async () => {
    const to = receiving(ok);
    const { publish, outcomes, webhooks } = hooksTo(settings(to.url, { secret: "the key" }));
    publish("disk");
    await eventually(() => outcomes.length === 1);
    const [{ headers, body, event } = { headers: new Headers(), body: "", event: null }] = to.received;
    expect(event).toMatchObject({
      id: "run-1",
      name: "monitor.gap",
      data: { source: "disk", error: "it failed" },
    });
    expect(
      ["content-type", "user-agent", "conductor-event", "conductor-delivery", "conductor-attempt"].map(
        (name) => headers.get(name),
      ),
    ).toEqual(["application/json", "conductor/1.2.3", "monitor.gap", "run-1", "1"]);
    const [, seconds = "", digest = ""] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers.get("conductor-signature") ?? "") ?? [];
    expect(createHmac("sha256", "the key").update(`${seconds}.${body}`).digest("hex")).toBe(digest);
    expect(Math.abs(Number(seconds) * 1_000 - clock.nowMs())).toBeLessThan(60_000);
    expect(webhooks.status()).toMatchObject([{ name: "ops", origin: to.origin, signed: true, delivered: 1 }]);
  });

  test("is only of events that the patterns take", async () => {
    const to = receiving(ok);
    const { bus, publish, outcomes } = hooksTo(settings(to.url, { events: ["plugin.*"] }));
    publish("disk");
    bus.publish("plugin.log", { plugin: "voice", stream: "log", line: "private" });
    bus.publish("plugin.listed", { plugin: "voice", present: true });
    await eventually(() => outcomes.length === 1);
    expect(to.received.map(({ event }) => event.name)).toEqual(["plugin.listed"]);
    expect(to.received[0]?.headers.has("conductor-signature")).toBe(false);
  });

  test("that fails is tried again with the same id and body, and later ones wait for it", async () => {
    const to = receiving((_, number) => (number < 3 ? new Response("no", { status: 503 }) : ok()));
    const { publish, outcomes } = hooksTo(settings(to.url, { attempts: 5 }));
    for (const source of ["a", "b"]) publish(source);
    await eventually(() => outcomes.filter((outcome) => outcome === "ops delivered").length === 2);
    expect(
      to.received.map(({ event, headers }) => `${event.data.source}${headers.get("conductor-attempt")}`),
    ).toEqual(["a1", "a2", "a3", "b1"]);
    expect(new Set(to.received.slice(0, 3).map(({ body }) => body)).size).toBe(1);
    expect(outcomes).toEqual(["ops retried", "ops retried", "ops delivered", "ops delivered"]);
  });
});

describe("an event is given up, told with its reason, and the next one follows", () => {
  test.each([
    [400, "HTTP 400", 1],
    [410, "HTTP 410", 1],
    [307, "HTTP 307: a redirect, which is not followed; set the final url", 1],
    [500, "HTTP 500, after 3 attempts", 3],
    [429, "HTTP 429, after 3 attempts", 3],
  ])("after HTTP %d", async (status, reason, attempts) => {
    const other = receiving(ok);
    const to = receiving(({ event }) =>
      event.data.source === "bad"
        ? new Response("x".repeat(10_000), { status, headers: { Location: other.url } })
        : ok(),
    );
    const { publish, outcomes, letters } = hooksTo(settings(to.url));
    publish("bad");
    publish("good");
    await eventually(() => outcomes.includes("ops delivered"));
    expect(letters.list(10)).toMatchObject([
      { webhook: "ops", eventId: "run-1", eventName: "monitor.gap", reason, attempts },
    ]);
    const before = to.received.findIndex(({ event }) => event.data.source === "good");
    expect([before, other.received.length]).toEqual([attempts, 0]);
  });

  test("when the receiver hangs, closes the connection or does not listen", async () => {
    const hanging = await rawServer(() => undefined);
    const closing = await rawServer((server) => server.destroy());
    const gone = await rawServer(() => undefined);
    await gone.close();
    const more = { attempts: 2, timeoutMs: 100 };
    const { publish, undelivered } = hooksTo(
      settings(hanging.url, { ...more, name: "hanging" }),
      settings(closing.url, { ...more, name: "closing" }),
      settings(gone.url, { ...more, name: "gone" }),
    );
    publish("disk");
    await eventually(() => undelivered().length === 3, 10_000);
    expect(undelivered().sort()).toEqual([
      expect.stringMatching(/^closing run-1 no answer \(\w+\), after 2 attempts$/),
      expect.stringMatching(/^gone run-1 no answer \(\w+\), after 2 attempts$/),
      "hanging run-1 no answer within 100 ms, after 2 attempts",
    ]);
  });

  test("when an answer begins and never ends it counts as given, and holds nothing up", async () => {
    const to = receiving(
      () =>
        new Response(new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(65_536)) })),
    );
    const { publish, outcomes } = hooksTo(settings(to.url));
    for (const source of ["a", "b", "c"]) publish(source);
    await eventually(() => outcomes.length === 3);
    expect(outcomes).toEqual(["ops delivered", "ops delivered", "ops delivered"]);
  });
});

test("a slow receiver delays neither who publishes nor another receiver, and more than 1,000 events do not wait", async () => {
  const release = Promise.withResolvers<void>();
  const slow = receiving(async () => {
    await release.promise;
    return ok();
  });
  const quick = receiving(ok);
  const { publish, webhooks, outcomes, undelivered } = hooksTo(
    settings(slow.url, { name: "slow", timeoutMs: 30_000, backoff: { initialMs: 1, maxMs: 60_000 } }),
    settings(quick.url, { name: "quick" }),
  );
  publish("first");
  await eventually(() => slow.received.length === 1);
  for (let number = 0; number < 1_200; number++) {
    publish(String(number));
    if (number % 100 === 0) await eventually(() => quick.received.length >= number - 100);
  }
  expect(webhooks.status()[0]).toMatchObject({ name: "slow", waiting: 1_000, attempt: 1 });
  await eventually(() => undelivered().length === 200);
  expect(undelivered().every((each) => each.startsWith("slow"))).toBe(true);
  await eventually(() => quick.received.length === 1_201, 20_000);
  release.resolve();
  await eventually(() => outcomes.filter((each) => each === "slow delivered").length === 1_001, 20_000);
  expect(slow.received[1]?.event.data.source).toBe("200");
}, 60_000);

test("stopping delivers what can be, gives up the rest at once, and says so", async () => {
  const hanging = await rawServer(() => undefined);
  const { publish, webhooks, outcomes, undelivered } = hooksTo(settings(hanging.url, { timeoutMs: 60_000 }));
  for (const source of ["a", "b", "c"]) publish(source);
  const beginMs = clock.monotonicMs();
  await webhooks.stop();
  expect(clock.monotonicMs() - beginMs).toBeLessThan(5_000);
  expect(outcomes.slice(-3)).toEqual(["ops ended", "ops ended", "ops ended"]);
  publish("d");
  expect(webhooks.status()).toMatchObject([{ waiting: 0, undelivered: 3 }]);
  expect(undelivered()).toEqual(["run-1", "run-2", "run-3"].map((id) => `ops ${id} conductor ended`));
});

test("neither log nor status hold the secret, or more of the URL than its origin", async () => {
  const to = receiving(() => new Response(null, { status: 400 }));
  const gone = await rawServer(() => undefined);
  await gone.close();
  const { publish, lines, webhooks, letters, undelivered } = hooksTo(
    settings(to.url, { secret: "the key" }),
    settings(`${gone.url}?key=a-secret-key`, { name: "gone", attempts: 1 }),
  );
  publish("disk");
  await eventually(() => undelivered().length === 2);
  const told = JSON.stringify([lines, webhooks.status(), letters.list(10)]);
  expect(told).toContain("webhook.undelivered");
  for (const secret of ["the key", "a-secret"]) expect(told).not.toContain(secret);
});

/** A TCP server that never speaks HTTP. */
async function rawServer(connected: (socket: import("node:net").Socket) => void) {
  const sockets = new Set<import("node:net").Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    connected(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  ends.push(close);
  return { url: `http://127.0.0.1:${port}/`, close };
}
