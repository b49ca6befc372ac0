/** What is kept of each plugin's output: how much, which part of it, and who is told. */

import { describe, expect, test } from "bun:test";
import { type LogLine, LogTail, mostLines } from "../../src/plugins/log-tail.ts";

const write = (tail: LogTail, plugin: string, count: number, text = "line") => {
  for (let number = 1; number <= count; number++)
    tail.add({ plugin, stream: "stderr", line: `${text} ${number}` }, number);
};
const seqs = (logs: readonly LogLine[]): number[] => logs.map(({ seq }) => seq);

describe("reading", () => {
  test("without a place yields the newest lines, the oldest of them first", () => {
    const tail = new LogTail();
    write(tail, "bot", 5);
    expect(tail.read("bot", { lines: 2 })).toEqual({
      logs: [
        { seq: 4, atMs: 4, stream: "stderr", line: "line 4" },
        { seq: 5, atMs: 5, stream: "stderr", line: "line 5" },
      ],
      dropped: 0,
    });
    expect(tail.read("bot", { lines: 0 }).logs).toEqual([]);
    expect(tail.read("other", { lines: 9 })).toEqual({ logs: [], dropped: 0 });
  });

  test("after a line goes on with the next one, so that pages meet without a gap", () => {
    const tail = new LogTail();
    write(tail, "bot", 10);
    expect(seqs(tail.read("bot", { lines: 3, after: 4 }).logs)).toEqual([5, 6, 7]);
    expect(seqs(tail.read("bot", { lines: 9, after: 7 }).logs)).toEqual([8, 9, 10]);
    expect(tail.read("bot", { lines: 9, after: 10 })).toEqual({ logs: [], dropped: 0 });
  });

  test("after a line of an earlier run of conductor yields all there is", () => {
    const tail = new LogTail();
    write(tail, "bot", 3);
    expect(seqs(tail.read("bot", { lines: 9, after: 4_000 }).logs)).toEqual([1, 2, 3]);
  });
});

describe("bounds", () => {
  test("keep the newest 1,000 lines of a plugin, and count those that are gone where they were asked for", () => {
    const tail = new LogTail();
    write(tail, "bot", mostLines + 7);
    const all = tail.read("bot", { lines: mostLines + 100 });
    expect([all.logs.length, all.logs[0]?.seq, all.dropped]).toEqual([mostLines, 8, 7]);
    expect(tail.read("bot", { lines: 10 }).dropped).toBe(0);
    expect(tail.read("bot", { lines: 1, after: 3 })).toMatchObject({ logs: [{ seq: 8 }], dropped: 4 });
    expect(tail.read("bot", { lines: 1, after: 500 })).toMatchObject({ logs: [{ seq: 501 }], dropped: 0 });
  });

  test("keep 256 KiB of a plugin, counted in bytes and not in characters", () => {
    const tail = new LogTail();
    write(tail, "bot", 200, "é".repeat(2_000));
    const { logs } = tail.read("bot", { lines: 1_000 });
    const bytes = logs.reduce((sum, { line }) => sum + Buffer.byteLength(line), 0);
    expect(bytes).toBeLessThanOrEqual(256 * 1024);
    expect(bytes).toBeGreaterThan(200 * 1024);
    expect(logs.at(-1)?.seq).toBe(200);
  });

  test("keep 16 MiB of all, and let go of those that are silent", () => {
    const tail = new LogTail();
    const text = "x".repeat(8_000);
    for (let plugin = 0; plugin < 100; plugin++) write(tail, `bot-${plugin}`, 40, text);
    let bytes = 0;
    for (let plugin = 0; plugin < 100; plugin++)
      for (const { line } of tail.read(`bot-${plugin}`, { lines: 1_000 }).logs) bytes += line.length;
    expect(bytes).toBeLessThanOrEqual(16 * 2 ** 20);
    expect(bytes).toBeGreaterThan(12 * 2 ** 20);
    expect(tail.read("bot-0", { lines: 1_000 })).toEqual({ logs: [], dropped: 40 });
    expect(tail.read("bot-99", { lines: 1_000 }).logs.length).toBeGreaterThan(20);
  });

  test("keep 1,000 plugins", () => {
    const tail = new LogTail();
    for (let plugin = 0; plugin < 1_100; plugin++) write(tail, `bot-${plugin}`, 1);
    const kept = Array.from({ length: 1_100 }, (_, plugin) => tail.read(`bot-${plugin}`, { lines: 1 }).logs);
    expect(kept.filter(({ length }) => length === 1)).toHaveLength(1_000);
    expect(kept[99]).toEqual([]);
    expect(kept[100]).toHaveLength(1);
  });
});

test("a follower is told of each new line of its plugin, until it goes", () => {
  const tail = new LogTail();
  write(tail, "bot", 2);
  const [first, second]: [number[], number[]] = [[], []];
  const leave = tail.follow("bot", ({ seq }) => first.push(seq));
  tail.follow("bot", ({ seq }) => second.push(seq));
  write(tail, "bot", 1);
  write(tail, "other", 1);
  leave();
  leave();
  write(tail, "bot", 1);
  expect([first, second]).toEqual([[3], [3, 4]]);
});
