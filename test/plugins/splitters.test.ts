/** Bytes to lines and frames: however they are cut, the same comes out. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { VirtualClock } from "../../src/clock.ts";
import { encodeFrame, FrameSplitter } from "../../src/plugins/frame-splitter.ts";
import { LineSplitter } from "../../src/plugins/line-splitter.ts";
import { LogLines, longestLogBytes } from "../../src/plugins/log-lines.ts";

/** `whole` in pieces that end at `cuts`. */
function pieces(whole: Buffer, cuts: number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => whole.subarray(from, at[index] ?? whole.length));
}

const text = fc.string({ maxLength: 40 }).map((it) => it.replaceAll("\n", ""));

test("lines come out as they went in, cut at the cap with their whole length", () => {
  fc.assert(
    fc.property(fc.array(text), fc.array(fc.nat()), (lines, cuts) => {
      const seen: [string, number][] = [];
      const splitter = new LineSplitter(16, {
        line: (bytes) => seen.push([bytes.toString("latin1"), bytes.length]),
        longLine: (head, total) => seen.push([head.toString("latin1"), total]),
      });
      const whole = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      for (const piece of pieces(whole, cuts)) splitter.push(piece);
      const bytes = lines.map((line) => Buffer.from(line));
      expect(seen).toEqual(bytes.map((line) => [line.subarray(0, 16).toString("latin1"), line.length]));
      expect(splitter.unfinishedBytes).toBe(0);
    }),
  );
});

test("frames come out as they went in, and those over the cap are passed over", () => {
  fc.assert(
    fc.property(fc.array(text), fc.array(fc.nat()), (texts, cuts) => {
      const seen: (string | number)[] = [];
      const splitter = new FrameSplitter(16, {
        frame: (bytes) => seen.push(bytes.toString("utf8")),
        tooLong: (total) => seen.push(total),
      });
      for (const piece of pieces(Buffer.concat(texts.map(encodeFrame)), cuts)) splitter.push(piece);
      expect(seen).toEqual(texts.map((it) => (Buffer.byteLength(it) > 16 ? Buffer.byteLength(it) : it)));
    }),
  );
});

describe("log lines", () => {
  const collect = (bytesPerSecond = 64 * 1024) => {
    const lines: string[] = [];
    const clock = new VirtualClock();
    return { lines, clock, log: new LogLines(clock, (line) => void lines.push(line), bytesPerSecond) };
  };

  test("are cut at 8 KiB, and the cut says how long they were", () => {
    const { lines, log } = collect();
    log.push(Buffer.from(`${"a".repeat(10_000)}\nnext\r\n\n`));
    expect(lines).toEqual([`${"a".repeat(longestLogBytes)}… (cut: 10000 bytes)`, "next"]);
    expect(log.counters).toEqual({ lines: 2, droppedBytes: 10_000 - longestLogBytes });
  });

  test("over the rate are dropped, counted, and told of once it calms down", async () => {
    const { lines, clock, log } = collect();
    const line = Buffer.from(`${"b".repeat(1_023)}\n`);
    for (let written = 0; written < 500; written++) log.push(line);
    log.push(Buffer.concat(Array(500).fill(line)));
    // A burst of 256 KiB in lines of 1023 bytes.
    const passed = Math.ceil((256 * 1024) / 1_023);
    expect(lines).toHaveLength(passed);
    await clock.advance(1_000);
    log.push(Buffer.from("calm\n"));
    expect(lines.at(-2)).toContain("bytes of output dropped");
    expect(lines.at(-1)).toBe("calm");
    expect(log.counters.droppedBytes).toBeGreaterThanOrEqual((1_000 - passed) * 1_023);
  });

  test("over the rate within one piece are dropped too", () => {
    const { lines, log } = collect();
    log.push(Buffer.from(`${"c".repeat(1_023)}\n`.repeat(1_000)));
    expect(lines).toHaveLength(Math.ceil((256 * 1024) / 1_023));
  });

  test("that are unfinished at the end are lines too", () => {
    const { lines, log } = collect();
    log.push(Buffer.from("last words"));
    log.end();
    expect(lines).toEqual(["last words"]);
  });
});
