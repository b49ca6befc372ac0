/** Recorded samples as hosts: where they are cut, what is base and what is a plugin. */

import { describe, expect, test } from "bun:test";
import { recordedHosts } from "../../src/replay/recorded-hosts.ts";
import { stretchesOf } from "../../src/replay/stretches.ts";

const minuteMs = 60_000;
const minutes = (...at: number[]) => Float64Array.from(at, (minute) => minute * minuteMs);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe("a record is cut", () => {
  test("where neighbours are more than five usual steps apart", () => {
    const times = minutes(...range(0, 20), ...range(24, 40), ...range(50, 70));
    expect(stretchesOf(times)).toEqual({
      stretches: [
        { from: 0, to: 36 },
        { from: 36, to: 56 },
      ],
      gaps: 1,
      short: 0,
    });
  });

  test("and what is shorter than ten minutes is left out", () => {
    expect(stretchesOf(minutes(...range(0, 20), ...range(30, 35)))).toEqual({
      stretches: [{ from: 0, to: 20 }],
      gaps: 1,
      short: 1,
    });
    expect(stretchesOf(minutes())).toEqual({ stretches: [], gaps: 0, short: 0 });
    expect(stretchesOf(minutes(3))).toEqual({ stretches: [], gaps: 0, short: 1 });
  });
});

test("the base is the use without the footprints, and a plugin that was away is at its median", () => {
  const samples = range(0, 21).map((minute) => ({
    atMs: minute * minuteMs,
    memoryUsedBytes: minute === 5 ? null : 1_000 + minute,
    memoryBudgetBytes: 10_000,
  }));
  const footprints = range(0, 21)
    .filter((minute) => minute < 10)
    .map((minute) => ({ atMs: minute * minuteMs, plugin: "voice", bytes: 300 + (minute % 3) }));
  const known = [{ name: "voice", requires: ["stubs"] }];
  const { hosts, gaps, filled } = recordedHosts({ samples, footprints, known });
  const [host] = hosts;
  const life = { bornMs: 0, index: 0 };
  expect([hosts.length, gaps, host?.model.budgetBytes]).toEqual([1, 0, 10_000]);
  // Minute 5 was not measured; 20 samples, of which the last 11 are without voice.
  expect(filled).toEqual({ voice: 11 / 20 });
  const [voice] = host?.model.plugins ?? [];
  expect(voice?.requires).toEqual(["stubs"]);
  const at = (minute: number) => [
    host?.model.base.bytesAt(minute * minuteMs, life),
    voice?.curve.bytesAt(minute * minuteMs, life),
  ];
  expect(at(4)).toEqual([1_004 - 301, 301]);
  expect(at(15)).toEqual([1_015, 301]);
});

test("another budget is another host", () => {
  const samples = range(0, 40).map((minute) => ({
    atMs: minute * minuteMs,
    memoryUsedBytes: 100,
    memoryBudgetBytes: minute < 20 ? 1_000 : 2_000,
  }));
  const { hosts, gaps } = recordedHosts({ samples, footprints: [], known: [] });
  expect([hosts.map(({ model }) => model.budgetBytes), gaps]).toEqual([[1_000, 2_000], 1]);
});
