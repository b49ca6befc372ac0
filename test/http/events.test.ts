/** Events as server-sent events: patterns, resume, and clients that do not read or go away. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { eventually } from "../plugins/harness.ts";
import { problemOf, type Served, served } from "./served.ts";
import { heldBytes, SseClients } from "./sse-clients.ts";

let subject: Served;
const clients = new SseClients();
const path = "/api/v1/events";

beforeEach(async () => {
  subject = await served();
});
afterEach(async () => {
  clients.end();
  await subject.end();
});

const health = (count = 1, detail = "") => {
  for (let each = 0; each < count; each++)
    subject.bus.publish("health.changed", { platform: "voice", from: "healthy", to: "failed", detail });
};
const listed = () => subject.bus.publish("plugin.listed", { plugin: "voice", present: true });
const line = () => subject.bus.publish("plugin.log", { plugin: "voice", stream: "log", line: "hi" });

const follow = (query = "", headers: Record<string, string> = {}) =>
  clients.follow(subject.url(path + query), headers);

/** Of events that came whole. */
const idsIn = (text: string): string[] =>
  [...text.matchAll(/^id: (\S+)\ndata: .*\n\n/gm)].map(([, id]) => id ?? "");

describe("events", () => {
  test("come as they happen, each with id, name, time and data", async () => {
    const { response, seen } = await follow();
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    await eventually(() => seen.text.includes(": following"));
    line();
    listed();
    await eventually(() => idsIn(seen.text).length === 1);
    expect(seen.text).toBe(
      ': following\n\nid: thisrun-1\ndata: {"id":"thisrun-1","name":"plugin.listed","at":"2026-01-01T00:00:00.000Z","data":{"plugin":"voice","present":true}}\n\n',
    );
  });

  test("are those that the patterns take; log lines of plugins only by their whole name, and without id", async () => {
    const { seen } = await follow("?pattern=health.*,plugin.log&last=10");
    await eventually(() => seen.text.includes(": following"));
    listed();
    line();
    health();
    await eventually(() => seen.text.includes("health.changed"));
    expect(idsIn(seen.text)).toEqual(["thisrun-2"]);
    expect(seen.text).toContain('data: {"id":null,"name":"plugin.log"');
    expect(seen.text).not.toContain("plugin.listed");
  });

  test("begin with the last ones, or after the id that a client names or saw last", async () => {
    health(5);
    const ids = async (query: string, count: number, headers: Record<string, string> = {}) => {
      const { seen } = await follow(query, headers);
      await eventually(() => idsIn(seen.text).length === count);
      return idsIn(seen.text);
    };
    expect(await ids("?last=2", 2)).toEqual(["thisrun-4", "thisrun-5"]);
    expect(await ids("?since=thisrun-3", 2)).toEqual(["thisrun-4", "thisrun-5"]);
    expect(await ids("?since=thisrun-3", 1, { "Last-Event-ID": "thisrun-4" })).toEqual(["thisrun-5"]);
  });

  test("say how many are gone; an id of another run yields all that is kept, and says that too", async () => {
    health(1_010);
    const { seen } = await follow("", { "Last-Event-ID": "thisrun-4" });
    await eventually(() => idsIn(seen.text).length === 1_000);
    expect(seen.text).toContain('event: dropped\ndata: {"dropped":6}\n\nid: thisrun-11\n');
    for (const id of ["otherrun-77", "from somebody else"]) {
      const back = await follow("", { "Last-Event-ID": id });
      await eventually(() => idsIn(back.seen.text).length === 1_000);
      expect(back.seen.text).toContain('event: dropped\ndata: {"dropped":10,"restarted":true}\n\n');
    }
  });

  test("show every 10 s that the connection still stands", async () => {
    const { seen } = await follow();
    await eventually(() => seen.text.includes(": following"));
    await subject.clock.advance(10_000);
    await eventually(() => seen.text.includes(": still here"));
  });

  test.each([
    ["pattern=helth.*", 'query: pattern: no event matches "helth.*"; did you mean "health.*"?'],
    ["since=17", 'query: since: "17": expected the id of an event, such as 1f3a9c02-17'],
    ["last=1001", 'query: last: "1001": expected a whole number from 0 to 1000'],
    [`pattern=${"*,".repeat(33)}`, "query: pattern: expected at most 32 patterns, separated by commas"],
  ])("?%s is refused with what is allowed", async (query, detail) => {
    const problem = await problemOf(await subject.get(`${path}?${query}`));
    expect(problem).toMatchObject({ status: 400, code: "query_invalid" });
    expect(problem.detail as string).toStartWith(detail.split(": ").slice(0, 2).join(": "));
    expect(problem.detail as string).toContain(detail.split(": ").at(-1) ?? "");
  });
});

describe("clients", () => {
  test("that come and go see each event once and in order", async () => {
    const pace = fc.record({
      before: fc.integer({ min: 0, max: 30 }),
      during: fc.integer({ min: 0, max: 30 }),
      toRead: fc.integer({ min: 0, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(pace, { minLength: 1, maxLength: 6 }), async (script) => {
        listed();
        const first = await follow("?last=1");
        await eventually(() => idsIn(first.seen.text).length === 1);
        first.end();
        let [last = ""] = idsIn(first.seen.text);
        const begin = Number(last.split("-")[1]);
        const seen: string[] = [];
        let published = 0;
        for (const { before, during, toRead } of [...script, { before: 1, during: 0, toRead: 1_000 }]) {
          health(before);
          const client = await follow("", { "Last-Event-ID": last });
          health(during);
          published += before + during;
          // It goes away in the middle, whatever was under way to it then.
          const most = Math.min(toRead, published - seen.length);
          await eventually(() => idsIn(client.seen.text).length >= most);
          client.end();
          const ids = idsIn(client.seen.text);
          seen.push(...ids);
          last = ids.at(-1) ?? last;
          expect(client.seen.text).not.toContain("event: dropped");
        }
        expect(seen).toEqual(Array.from({ length: published }, (_, index) => `thisrun-${begin + 1 + index}`));
      }),
      { numRuns: 15 },
    );
  }, 60_000);

  test("that take nothing cost a bounded amount of memory, and end after 15 s", async () => {
    await Promise.all(Array.from({ length: 8 }, () => clients.stall(subject.port, path)));
    const before = heldBytes();
    for (let round = 0; round < 200; round++) {
      health(100, "x".repeat(1_000));
      await Bun.sleep(0);
    }
    // Of 20 MB for each; the log keeps 1 MiB, and the clients share its events.
    const grownBytes = heldBytes() - before;
    console.log(`held for 8 clients that take nothing: ${(grownBytes / 2 ** 20).toFixed(1)} MiB`);
    expect(grownBytes).toBeLessThan(20 * 2 ** 20);
    const metrics = await (await subject.get("/metrics")).text();
    const drops = Number(
      /conductor_event_drops_total\{subscriber="event followers"\} (\d+)/.exec(metrics)?.[1],
    );
    expect(drops).toBeGreaterThan(10_000);
    for (let step = 0; step < 4; step++) await subject.clock.advance(15_000);
    const others = await Promise.all(Array.from({ length: 64 }, () => follow()));
    expect(others.map(({ response }) => response.status)).toEqual(others.map(() => 200));
  }, 30_000);

  test("are at most 64, and one that has gone makes room", async () => {
    const first = await follow();
    for (let number = 1; number < 64; number++) await follow();
    const refused = await subject.get(path);
    expect(await problemOf(refused)).toMatchObject({
      status: 503,
      code: "too_many_followers",
      title: "Too many clients follow events already",
      blocked_by: "followers",
    });
    first.end();
    await eventually(async () => (await follow()).response.status === 200);
  });
});
