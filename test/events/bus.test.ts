import { describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import { EventBus, type Unsubscribe } from "../../src/events/bus.ts";
import { recordedLog } from "../storage/scratch.ts";

const gap = (source: string) => ({ source, error: "it failed" });

function subject() {
  const clock = new VirtualClock(1_000);
  const { log, lines } = recordedLog();
  return { clock, lines, bus: new EventBus(clock, log) };
}

/** Sources of the gaps that a subscriber saw, under its name. */
const seenBy = (bus: EventBus, name: string, seen: string[]): Unsubscribe =>
  bus.on("monitor.gap", ({ source }) => seen.push(`${name} ${source}`));

describe("the bus", () => {
  test("hands each event to each subscriber, in the order of subscription, with its time", async () => {
    const { bus, clock } = subject();
    const seen: string[] = [];
    bus.on("monitor.gap", ({ source }, atMs) => seen.push(`first ${source} ${atMs}`));
    bus.subscribe(({ name, atMs }) => seen.push(`second ${name} ${atMs}`));
    bus.publish("monitor.gap", gap("disk"));
    await clock.advance(5);
    bus.publish("plugin.log", { plugin: "voice", stream: "stderr", line: "hi" });
    expect(seen).toEqual(["first disk 1000", "second monitor.gap 1000", "second plugin.log 1005"]);
  });

  test("keeps a subscriber that throws from the publisher and from the others, and says so once", () => {
    const { bus, lines } = subject();
    const seen: string[] = [];
    bus.subscribe(() => {
      throw new Error("broken observer");
    });
    seenBy(bus, "after", seen);
    bus.publish("monitor.gap", gap("disk"));
    bus.publish("monitor.gap", gap("cpu"));
    expect(seen).toEqual(["after disk", "after cpu"]);
    // Once: what fails for one event mostly fails for all.
    expect(lines.map(({ event, fields }) => `${event} ${fields.name}`)).toEqual([
      "events.subscriber_failed monitor.gap",
    ]);
  });

  test("keeps an asynchronous subscriber that rejects from ending the process", async () => {
    const { bus, lines } = subject();
    bus.subscribe(async () => {
      await Promise.resolve();
      throw new Error("broken later");
    });
    bus.publish("monitor.gap", gap("disk"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines.map(({ event }) => event)).toEqual(["events.subscriber_failed"]);
  });

  test("tells no one who has unsubscribed, also when that happens while it publishes", () => {
    const { bus } = subject();
    const seen: string[] = [];
    const stop: Unsubscribe[] = [];
    stop.push(
      bus.on("monitor.gap", () => {
        seen.push("first");
        for (const each of stop) each();
      }),
    );
    stop.push(seenBy(bus, "second", seen));
    bus.publish("monitor.gap", gap("disk"));
    bus.publish("monitor.gap", gap("cpu"));
    expect(seen).toEqual(["first"]);
  });

  test("does not skip anyone when one unsubscribes itself", () => {
    const { bus } = subject();
    const seen: string[] = [];
    const stop = bus.on("monitor.gap", () => stop());
    seenBy(bus, "second", seen);
    seenBy(bus, "third", seen);
    bus.publish("monitor.gap", gap("disk"));
    expect(seen).toEqual(["second disk", "third disk"]);
  });

  test("tells one who subscribes while it publishes from the next event on", () => {
    const { bus } = subject();
    const seen: string[] = [];
    let joined = 0;
    bus.on("monitor.gap", () => {
      if (joined++ === 0) seenBy(bus, "late", seen);
    });
    bus.publish("monitor.gap", gap("disk"));
    expect(seen).toEqual([]);
    bus.publish("monitor.gap", gap("cpu"));
    expect(seen).toEqual(["late cpu"]);
  });

  test("delivers an event published in the middle of another one after it, to everyone in the same order", () => {
    const { bus } = subject();
    const seen: string[] = [];
    bus.on("monitor.gap", ({ source }) => {
      if (source === "disk") bus.publish("monitor.gap", gap("cpu"));
    });
    seenBy(bus, "second", seen);
    bus.publish("monitor.gap", gap("disk"));
    expect(seen).toEqual(["second disk", "second cpu"]);
  });

  test("has the same subscriber twice when it subscribed twice", () => {
    const { bus } = subject();
    let calls = 0;
    const subscriber = () => {
      calls++;
    };
    const stop = bus.subscribe(subscriber);
    bus.subscribe(subscriber);
    bus.publish("monitor.gap", gap("disk"));
    stop();
    bus.publish("monitor.gap", gap("disk"));
    expect(calls).toBe(3);
  });

  test("ends a circle of subscribers that answer each other, and says so", () => {
    const { bus, lines } = subject();
    let calls = 0;
    bus.on("monitor.gap", () => {
      calls++;
      bus.publish("monitor.gap", gap("again"));
    });
    bus.publish("monitor.gap", gap("disk"));
    expect(calls).toBe(1_001);
    expect(lines.map(({ event }) => event)).toEqual(["events.dropped"]);
    bus.publish("monitor.gap", gap("disk"));
    expect(calls).toBe(2_002);
  });
});
