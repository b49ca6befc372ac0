/** Resume: what followed an event is sent once, and what is not kept any more is counted. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { EventBus } from "../../src/events/bus.ts";
import { EventLog, mostKept } from "../../src/events/event-log.ts";
import { patternProblem, wanted } from "../../src/events/pattern.ts";
import { recordedLog } from "../storage/scratch.ts";

function subject() {
  const { log } = recordedLog();
  const bus = new EventBus(new VirtualClock(0), log, "thisrun");
  const events = new EventLog(bus);
  const gap = (count = 1) => {
    for (let each = 0; each < count; each++) bus.publish("monitor.gap", { source: "disk", error: "" });
  };
  const health = (count = 1, detail = "") => {
    for (let each = 0; each < count; each++)
      bus.publish("health.changed", { platform: "voice", from: "healthy", to: "failed", detail });
  };
  const line = () => bus.publish("plugin.log", { plugin: "voice", stream: "log", line: "hi" });
  return { bus, events, gap, health, line };
}

const all = wanted(["*"]);
const onlyHealth = wanted(["health.*"]);
const ids = (reading: { events: { id: string | null }[] }) => reading.events.map(({ id }) => id);

describe("the log of events", () => {
  test("numbers every event but log lines, and yields the newest or those after an id", () => {
    const { events, gap, health, line } = subject();
    gap(2);
    line();
    health();
    expect(ids(events.read(all, { last: 10 }))).toEqual(["thisrun-1", "thisrun-2", "thisrun-3"]);
    expect(ids(events.read(all, { last: 1 }))).toEqual(["thisrun-3"]);
    expect(events.read(all, { last: 0 }).events).toEqual([]);
    expect(ids(events.read(all, { last: 0, after: "thisrun-1" }))).toEqual(["thisrun-2", "thisrun-3"]);
    expect(ids(events.read(onlyHealth, { last: 0, after: "thisrun-1" }))).toEqual(["thisrun-3"]);
    expect(events.read(wanted(["plugin.log"]), { last: 10 }).events).toEqual([]);
  });

  test("counts of what is gone only what was wanted", () => {
    const { events, gap, health } = subject();
    health(3);
    gap(mostKept + 7);
    expect(events.read(onlyHealth, { last: 0, after: "thisrun-1" })).toEqual({
      events: [],
      dropped: 2,
      restarted: false,
    });
    expect(events.read(all, { last: 0, after: "thisrun-1" }).dropped).toBe(9);
    expect(events.read(all, { last: 0, after: "thisrun-10" }).dropped).toBe(0);
    gap(70_000);
    // The names of those are not known any more: they count too, rather than be missing untold.
    expect(events.read(onlyHealth, { last: 0, after: "thisrun-1" }).dropped).toBeGreaterThan(2);
  });

  test.each(["another-1", "thisrun-4", "unknown"])(
    "of an id that it never gave (%s) all that is kept follows",
    (after) => {
      const { events, gap } = subject();
      gap(3);
      const reading = events.read(all, { last: 0, after });
      expect([ids(reading).length, reading.dropped, reading.restarted]).toEqual([3, 0, true]);
    },
  );

  test("keeps a bounded number of bytes", () => {
    const { events, health } = subject();
    health(40, "x".repeat(100_000));
    expect(events.read(all, { last: 1_000 }).events.length).toBeLessThan(11);
    expect(events.read(all, { last: 0, after: "thisrun-1" }).dropped).toBeGreaterThan(28);
  });

  test("a client that comes and goes sees each event once and in order, or is told how many it missed", () => {
    const step = fc.record({
      gaps: fc.integer({ min: 0, max: 700 }),
      healths: fc.integer({ min: 0, max: 700 }),
      connected: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (script) => {
        const { events, gap, health } = subject();
        const seen: number[] = [];
        let [lost, published] = [0, 0];
        let last = "thisrun-0";
        const take = ({ id }: { id: string | null }) => {
          last = id ?? last;
          seen.push(Number(last.split("-")[1]));
        };
        for (const { gaps, healths, connected } of [...script, { gaps: 0, healths: 0, connected: true }]) {
          let leave: (() => void) | null = null;
          if (connected) {
            const reading = events.read(onlyHealth, { last: 0, after: last });
            lost += reading.dropped;
            reading.events.forEach(take);
            leave = events.follow(onlyHealth, take);
          }
          gap(gaps);
          health(healths);
          published += healths;
          leave?.();
        }
        expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
        expect(seen.length + lost).toBe(published);
      }),
      { numRuns: 60 },
    );
  });
});

test.each([
  ["health.changd", 'no event matches "health.changd"; did you mean "health.changed"?'],
  ["plugins.*", 'no event matches "plugins.*"; did you mean "plugin.*"?'],
  ["", 'no event matches ""; there are plugin.state, '],
  ["plugin.st*", 'no event matches "plugin.st*"; '],
])("the pattern %j is refused with what was probably meant", (pattern, problem) => {
  expect(patternProblem(pattern)).toStartWith(problem);
});

test("a group and all leave the log lines of plugins out", () => {
  expect([["*"], ["plugin.*"], ["plugin.log"]].map((patterns) => wanted(patterns)("plugin.log"))).toEqual([
    false,
    false,
    true,
  ]);
  expect(wanted(["plugin.*"])("plugin.state")).toBe(true);
});
