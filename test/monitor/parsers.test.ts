/** What the texts of /proc and of cgroup files are taken for, whole, cut off and garbled. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { lineKey, lineNumber, soleNumber } from "../../src/monitor/counters.ts";
import { cpuPercent, parseCpuTimes } from "../../src/monitor/cpu-times.ts";
import { diskReading } from "../../src/monitor/disk.ts";
import { parseLoad } from "../../src/monitor/load-average.ts";
import { parseMeminfo } from "../../src/monitor/meminfo.ts";
import { parsePressure } from "../../src/monitor/pressure.ts";
import { parsePageBytes, parsePrivatePages, parsePss } from "../../src/monitor/process-memory.ts";
import { GiB, MiB, meminfo } from "./fixture-host.ts";

const meminfoOf = (text: string) => {
  const bytes = Buffer.from(text);
  return parseMeminfo(bytes, bytes.length);
};

describe("/proc/meminfo", () => {
  test("yields bytes", () => {
    expect(meminfoOf(meminfo(12 * GiB, 5 * GiB, 2 * GiB, GiB))).toEqual({
      totalBytes: 12 * GiB,
      availableBytes: 5 * GiB,
      swapTotalBytes: 2 * GiB,
      swapFreeBytes: GiB,
    });
  });

  const whole = meminfo(GiB, MiB);
  const broken: [string, string][] = [
    ["empty", ""],
    ["no MemAvailable, as before Linux 3.14", whole.replace(/MemAvailable.*\n/, "")],
    ["no MemTotal", whole.replace(/MemTotal.*\n/, "")],
    ["a total of zero", meminfo(0, 0)],
    ["a word for a number", whole.replace(/(MemAvailable:\s+)\d+/, "$1many")],
    ["a negative number", whole.replace(/(MemAvailable:\s+)\d+/, "$1-1024")],
    ["another unit", whole.replace(/(MemAvailable:\s+\d+) kB/, "$1 MB")],
    ["the name inside of another one", whole.replace("MemAvailable", "NotMemAvailable")],
    ["bytes at random", "\0\xff\n\n: kB\nMemTotal"],
  ];
  test.each(broken)("is not understood with %s", (_, text) => {
    expect(meminfoOf(text)).toBeNull();
  });

  test("without swap lines tells no swap, which is not zero", () => {
    const reading = meminfoOf(whole.replaceAll(/Swap(Total|Free).*\n/g, ""));
    expect(reading).toMatchObject({ totalBytes: GiB, swapTotalBytes: null, swapFreeBytes: null });
  });

  test("never has more available than there is", () => {
    expect(meminfoOf(meminfo(GiB, 2 * GiB))?.availableBytes).toBe(GiB);
  });

  test("cut off anywhere yields what it said or nothing, never a cut-off number", () => {
    const text = meminfo(12 * GiB, 5 * GiB, 2 * GiB, GiB);
    const expected = meminfoOf(text);
    for (let length = 0; length < text.length; length++) {
      const reading = parseMeminfo(Buffer.from(text), length);
      if (reading === null) continue;
      expect(reading.totalBytes).toBe(12 * GiB);
      expect(reading.availableBytes).toBe(5 * GiB);
      expect([null, expected?.swapTotalBytes]).toContain(reading.swapTotalBytes);
      expect([null, expected?.swapFreeBytes]).toContain(reading.swapFreeBytes);
    }
  });
});

describe("a counter among lines", () => {
  const key = lineKey("inactive_file ");
  const table: [string, string, number | null][] = [
    ["in the first line", "inactive_file 12\nb 3\n", 12],
    ["in the last line", "b 3\ninactive_file 12\n", 12],
    ["not the one whose name ends alike", "total_inactive_file 5\n", null],
    ["behind the one whose name ends alike", "total_inactive_file 5\ninactive_file 12\n", 12],
    ["cut off in the number", "b 3\ninactive_file 12", null],
    ["cut off before the number", "b 3\ninactive_file ", null],
    ["without a number", "b 3\ninactive_file x\n", null],
    ["with something behind it", "inactive_file 12 34\n", null],
  ];
  test.each(table)("%s", (_, text, expected) => {
    const bytes = Buffer.from(text);
    expect(lineNumber(bytes, bytes.length, key)).toBe(expected);
  });

  test("is not found in what an earlier, longer read left behind", () => {
    const bytes = Buffer.from("b 3\ninactive_file 12\n");
    expect(lineNumber(bytes, 4, key)).toBeNull();
    expect(lineNumber(bytes, 19, key)).toBeNull();
  });

  test("is what was written, at any place among other lines", () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/);
    const lines = fc.array(fc.tuple(name, fc.nat()), { maxLength: 8 });
    fc.assert(
      fc.property(lines, lines, fc.nat(), (before, after, value) => {
        const text = [...before, ["inactive_file", value], ...after].map(([n, v]) => `${n} ${v}\n`).join("");
        const bytes = Buffer.from(text);
        expect(lineNumber(bytes, bytes.length, key)).toBe(value);
      }),
    );
  });
});

test.each([
  ["104857600\n", 104_857_600],
  ["104857600", 104_857_600],
  ["0\n", 0],
  ["max\n", Number.POSITIVE_INFINITY],
  ["9223372036854771712\n", 2 ** 63 - 4_096],
  ["", null],
  ["-1\n", null],
  ["1 2\n", null],
  ["12kB\n", null],
  ["maximal\n", null],
])("a file of one number: %j is %p", (text, expected) => {
  const bytes = Buffer.from(text);
  expect(soleNumber(bytes, bytes.length)).toBe(expected);
});

describe("/proc/stat", () => {
  // user nice system idle iowait irq softirq steal guest guest_nice
  const before = "cpu  100 10 40 800 50 0 0 0 60 0\ncpu0 1 2 3 4\n";
  const times = (text: string) => {
    const parsed = parseCpuTimes(text);
    if (!parsed) throw new Error("not understood");
    return parsed;
  };

  test.each([
    // 100 more ticks each time: of what, and how many of them were busy.
    ["idle", "cpu  100 10 40 900 50 0 0 0 60 0\n", 0],
    ["waiting for a disk, which is idle", "cpu  100 10 40 800 150 0 0 0 60 0\n", 0],
    ["user", "cpu  200 10 40 800 50 0 0 0 60 0\n", 100],
    ["a guest's, which user time holds already", "cpu  150 10 40 850 50 0 0 0 110 0\n", 50],
    ["stolen, which is busy", "cpu  100 10 40 800 50 0 0 100 60 0\n", 100],
    ["softirq and idle", "cpu  100 10 40 875 50 0 25 0 60 0\n", 25],
  ])("time passed %s", (_, after, percent) => {
    expect(cpuPercent(times(before), times(after))).toBe(percent);
  });

  test("of an old kernel has four fields only", () => {
    expect(parseCpuTimes("cpu 1 2 3 4\n")).toEqual({ busy: 6, total: 10 });
  });

  test.each([
    ["no time passed", before],
    ["counters that went back", "cpu  90 10 40 700 50 0 0 0 60 0\n"],
  ])("%s tells nothing", (_, after) => {
    expect(cpuPercent(times(before), times(after))).toBeNull();
  });

  test("idle time that stepped back a little is bounded at 100", () => {
    expect(cpuPercent(times(before), times("cpu  200 10 40 799 50 0 0 0 60 0\n"))).toBe(100);
  });

  test.each(["", "cpu\n", "cpu  1 2 3\n", "cpu0 1 2 3 4\n", "cpu  1 2 3 x\n", "cpu  1 2 3 4", "intr 5\n"])(
    "%j is not understood",
    (text) => {
      expect(parseCpuTimes(text)).toBeNull();
    },
  );
});

test.each([
  ["0.52 0.58 0.59 1/100 99\n", { load1: 0.52, load5: 0.58, load15: 0.59 }],
  ["12 0 3.5 1/100 99\n", { load1: 12, load5: 0, load15: 3.5 }],
  ["0.52 0.58", null],
  ["0.52 0.58 0.5", null],
  ["high low mid 1/1 1\n", null],
  ["", null],
])("/proc/loadavg %j", (text, expected) => {
  expect(parseLoad(text)).toEqual(expected);
});

test.each([
  [
    "some avg10=1.50 avg60=0.20 avg300=0.00 total=5\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=2\n",
    { somePercent: 1.5, fullPercent: 0.5 },
  ],
  ["some avg10=100.00 avg60=0.20 avg300=0.00 total=5\n", { somePercent: 100, fullPercent: null }],
  ["full avg10=1.00 avg60=0.00 avg300=0.00 total=2\n", null],
  ["some avg10=1.5", null],
  ["some avg10=nan avg60=0 \n", null],
  ["", null],
])("/proc/pressure %j", (text, expected) => {
  expect(parsePressure(text)).toEqual(expected);
});

describe("a process", () => {
  test.each([
    ["5580-7ff [rollup]\nRss:     9 kB\nPss:     2048 kB\nPss_Dirty:  1 kB\nPss_Anon: 7 kB\n", 2 * MiB],
    ["Rss: 9 kB\nPss_Anon: 7 kB\n", null],
    ["Pss: 20", null],
    ["", null],
  ])("smaps_rollup %j", (text, expected) => {
    expect(parsePss(Buffer.from(text))).toBe(expected);
  });

  test.each([
    ["1000 300 120 5 0 90 0\n", 180],
    ["1000 100 120 5 0 90 0\n", 0],
    ["1000 300", null],
    ["", null],
  ])("statm %j in pages", (text, expected) => {
    expect(parsePrivatePages(text)).toBe(expected);
  });

  test.each([[4_096n], [16_384n], [65_536n]])("auxv with pages of %p bytes", (size) => {
    const auxv = Buffer.from(new BigUint64Array([33n, 1n, 6n, size, 17n, 100n, 0n, 0n]).buffer);
    expect(parsePageBytes(auxv)).toBe(Number(size));
    expect(parsePageBytes(auxv.subarray(0, 24))).toBeNull();
  });
});

test("a disk is as full as df says: of what a user could use", () => {
  // 1000 blocks, 300 free, 200 of them for users: 700 / (700 + 200).
  const stats = { bsize: 4096, blocks: 1000, bfree: 300, bavail: 200 };
  expect(diskReading(stats)).toEqual({
    usedPercent: 700 / 9,
    freeBytes: 200 * 4096,
    totalBytes: 1000 * 4096,
  });
  expect(diskReading({ bsize: 4096, blocks: 0, bfree: 0, bavail: 0 })).toBeNull();
});
