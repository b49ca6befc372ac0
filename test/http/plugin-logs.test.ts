/** The log of a plugin over HTTP: once, and followed by clients that read, that do not, and that go away. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { eventually } from "../plugins/harness.ts";
import { problemOf, type Served, served, startMs } from "./served.ts";
import { heldBytes, SseClients } from "./sse-clients.ts";

let subject: Served;
const clients = new SseClients();
const path = "/api/v1/plugins/voice/logs";

beforeEach(async () => {
  subject = await served();
});
afterEach(async () => {
  clients.end();
  await subject.end();
});

const write = (count: number, text = "line") => {
  for (let number = 1; number <= count; number++)
    subject.logs.add({ plugin: "voice", stream: "stderr", line: `${text} ${number}` }, startMs);
};

const follow = (query = "", headers: Record<string, string> = { Accept: "text/event-stream" }) =>
  clients.follow(subject.url(path + query), headers);

const seqsIn = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq));

describe("once", () => {
  test("yields the newest lines with number, time and stream", async () => {
    write(150);
    const { logs, dropped } = (await subject.json(path)) as { logs: { seq: number }[]; dropped: number };
    expect([logs.length, dropped]).toEqual([100, 0]);
    expect(logs[99]).toEqual({
      seq: 150,
      at: "2026-01-01T00:00:00.000Z",
      stream: "stderr",
      line: "line 150",
    } as object as never);
    expect(await subject.json(`${path}?lines=2&after=3`)).toMatchObject({ logs: [{ seq: 4 }, { seq: 5 }] });
    expect(await subject.json("/api/v1/plugins/android/logs")).toEqual({ logs: [], dropped: 0 });
  });

  test.each([
    ["lines=1001", 'query: lines: "1001": expected a whole number from 0 to 1000'],
    ["lines=few", 'query: lines: "few": expected a whole number from 0 to 1000'],
    ["after=-1", 'query: after: "-1": expected a whole number from 0 to 9007199254740991'],
    ["follow=yes", 'query: follow: "yes": expected one of true, false'],
    ["line=5", 'query: line: unknown key; did you mean "lines"?'],
  ])("?%s is refused with what is allowed", async (query, detail) => {
    const refused = await subject.get(`${path}?${query}`);
    expect(await problemOf(refused)).toMatchObject({ status: 400, code: "query_invalid", detail });
  });

  test("of an unknown plugin is 404, followed or not", async () => {
    for (const query of ["", "?follow=true"])
      expect(await problemOf(await subject.get(`/api/v1/plugins/fax/logs${query}`))).toMatchObject({
        status: 404,
        code: "unknown_plugin",
      });
  });
});

describe("followed", () => {
  test("sends what is kept, then each line as it comes, each with its number as event id", async () => {
    write(3);
    const { response, seen } = await follow("?lines=2");
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    await eventually(() => seqsIn(seen.text).length === 2);
    write(1, "with a\nbreak");
    await eventually(() => seqsIn(seen.text).length === 3);
    expect(seqsIn(seen.text)).toEqual([2, 3, 4]);
    expect(seen.text).toContain(
      'event: log\nid: 4\ndata: {"seq":4,"at":"2026-01-01T00:00:00.000Z","stream":"stderr","line":"with a\\nbreak 1"}\n\n',
    );
  });

  test("goes on after the last event that a client saw, in place of after", async () => {
    write(5);
    const { seen } = await follow("?follow=true&after=1", { "Last-Event-ID": "3" });
    await eventually(() => seqsIn(seen.text).length === 2);
    expect(seqsIn(seen.text)).toEqual([4, 5]);
    const back = await follow("?follow=true", { "Last-Event-ID": "from somebody else" });
    await eventually(() => seqsIn(back.seen.text).length === 5);
  });

  test("says how many lines were gone before they could be sent", async () => {
    write(1_010);
    const { seen } = await follow("?follow=true&after=4");
    await eventually(() => seqsIn(seen.text).length === 1_000);
    expect(seen.text).toContain('event: dropped\ndata: {"dropped":6}\n\n');
  });

  test("shows every 10 s that it still stands", async () => {
    const { seen } = await follow();
    await eventually(() => seen.text.includes(": following"));
    await subject.clock.advance(10_000);
    await eventually(() => seen.text.includes(": still here"));
    await subject.clock.advance(10_000);
    await eventually(() => seen.text.split(": still here").length === 3);
  });

  test("ends for a client that takes nothing for 15 s, and keeps a bounded number of lines for it", async () => {
    await clients.stall(subject.port, `${path}?follow=true`);
    const before = heldBytes();
    for (let round = 0; round < 400; round++) {
      write(200, "x".repeat(1_000));
      await Bun.sleep(0);
    }
    // Of 80 MB that were written; the tail itself keeps 256 KiB, and what waits for the client 512 KiB.
    const grownBytes = heldBytes() - before;
    console.log(`held for a client that takes nothing: ${(grownBytes / 2 ** 20).toFixed(1)} MiB`);
    expect(grownBytes).toBeLessThan(10 * 2 ** 20);
    for (let step = 0; step < 4; step++) await subject.clock.advance(15_000);
    write(1);
    const others = await Promise.all(Array.from({ length: 64 }, () => follow()));
    expect(others.map(({ response }) => response.status)).toEqual(others.map(() => 200));
  }, 30_000);

  test("keeps at most 512 KiB for a client that is slow, and tells it what it missed", async () => {
    const { seen } = await follow();
    await eventually(() => seen.text.includes(": following"));
    // Written in one go: the client's stream cannot take any of it meanwhile.
    write(200, "x".repeat(8_000));
    await eventually(() => seqsIn(seen.text).includes(200));
    const dropped = Number(/^data: \{"dropped":(\d+)\}$/m.exec(seen.text)?.[1]);
    expect(dropped).toBeGreaterThan(130);
    expect(seqsIn(seen.text)).toHaveLength(200 - dropped);
  });

  test("takes 64 clients at a time, and another one when one has gone", async () => {
    const first = await follow();
    for (let number = 1; number < 64; number++) await follow();
    const refused = await subject.get(`${path}?follow=true`);
    expect(refused.headers.get("retry-after")).toBe("10");
    expect(await problemOf(refused)).toMatchObject({
      status: 503,
      code: "too_many_followers",
      blocked_by: "followers",
    });
    first.end();
    await eventually(() => first.seen.ended);
    await eventually(async () => (await follow()).response.status === 200);
  });
});
