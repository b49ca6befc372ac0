/** Subscribers that take their time: order, bounds, and that they delay nobody. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { EventBus } from "../../src/events/bus.ts";
import { recordedLog } from "../storage/scratch.ts";

function subject() {
  const { log, lines } = recordedLog();
  const bus = new EventBus(new VirtualClock(0), log, "run");
  const publish = (number: number) => bus.publish("monitor.gap", { source: String(number), error: "" });
  return { bus, lines, publish };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const numberOf = ({ data }: { data: object }): number => Number((data as { source: string }).source);

describe("a queued subscriber", () => {
  test("is told after publish has returned, one event at a time and in order", async () => {
    const { bus, publish } = subject();
    const seen: string[] = [];
    bus.enqueue({
      name: "slow",
      patterns: ["*"],
      take: async (event) => {
        seen.push(`begin ${numberOf(event)}`);
        await turn();
        seen.push(`end ${numberOf(event)}`);
      },
    });
    publish(1);
    publish(2);
    expect(seen).toEqual([]);
    for (let turns = 0; turns < 10; turns++) await turn();
    expect(seen).toEqual(["begin 1", "end 1", "begin 2", "end 2"]);
  });

  test("that never ends, throws or rejects delays nobody, and is told of once each", async () => {
    const { bus, lines, publish } = subject();
    const seen: number[] = [];
    const never = new Promise<void>(() => undefined);
    bus.enqueue({ name: "stuck", patterns: ["*"], most: 5, take: () => never });
    bus.enqueue({
      name: "throwing",
      patterns: ["*"],
      take: () => {
        throw new Error("broken");
      },
    });
    bus.enqueue({ name: "rejecting", patterns: ["*"], take: () => Promise.reject(new Error("broken")) });
    bus.subscribe(() => {
      throw new Error("broken at once");
    });
    bus.subscribe((event) => seen.push(numberOf(event)));
    bus.enqueue({ name: "well", patterns: ["*"], take: (event) => void seen.push(-numberOf(event)) });
    for (let number = 1; number <= 100; number++) {
      publish(number);
      expect(seen.at(-1)).toBe(number);
    }
    for (let turns = 0; turns < 10; turns++) await turn();
    expect(seen.filter((number) => number < 0)).toHaveLength(100);
    expect(lines.map(({ event, fields }) => `${event} ${fields.subscriber ?? fields.name}`).sort()).toEqual([
      "events.dropped stuck",
      "events.subscriber_failed monitor.gap",
      "events.subscriber_failed rejecting",
      "events.subscriber_failed throwing",
    ]);
  });

  test("takes no further events once it has ended, but those that wait", async () => {
    const { bus, publish } = subject();
    const seen: number[] = [];
    const queue = bus.enqueue({
      name: "ended",
      patterns: ["*"],
      take: (event) => void seen.push(numberOf(event)),
    });
    publish(1);
    queue.end();
    publish(2);
    await queue.idle();
    expect([seen, queue.length()]).toEqual([[1], 0]);
  });

  test("is handed only what its patterns take", async () => {
    const { bus, publish } = subject();
    const seen: string[] = [];
    const queue = bus.enqueue({
      name: "some",
      patterns: ["plugin.*", "health.changed"],
      take: ({ name }) => void seen.push(name),
    });
    publish(1);
    bus.publish("plugin.log", { plugin: "voice", stream: "log", line: "hi" });
    bus.publish("plugin.listed", { plugin: "voice", present: true });
    bus.publish("health.changed", { platform: "voice", from: "healthy", to: "failed", detail: "" });
    await queue.idle();
    expect(seen).toEqual(["plugin.listed", "health.changed"]);
  });
});

test("no event comes twice, out of order, or is missing without being told, whatever the pace", async () => {
  const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant("take" as const)), {
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(steps, fc.integer({ min: 1, max: 20 }), async (script, most) => {
      const { bus, publish } = subject();
      const seen: number[] = [];
      const lost: number[] = [];
      let told = 0;
      let release: (() => void)[] = [];
      const queue = bus.enqueue({
        name: "any",
        patterns: ["*"],
        most,
        take: (event, dropped) => {
          told += dropped;
          seen.push(numberOf(event));
          return new Promise<void>((resolve) => release.push(resolve));
        },
        dropped: (event) => lost.push(numberOf(event)),
      });
      const releaseAll = async () => {
        for (const resolve of release.splice(0)) resolve();
        await turn();
      };
      let published = 0;
      for (const step of script) {
        if (step === "take") await releaseAll();
        else for (let each = 0; each < step; each++) publish(++published);
        expect(queue.length()).toBeLessThanOrEqual(most);
      }
      publish(++published);
      await turn();
      while (release.length > 0) await releaseAll();
      release = [];
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      const all = Array.from({ length: published }, (_, index) => index + 1);
      expect([...seen, ...lost].sort((a, b) => a - b)).toEqual(all);
      expect(told).toBe(lost.length);
    }),
    { numRuns: 100 },
  );
});
