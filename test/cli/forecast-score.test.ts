/** forecast score on the executable: figures that are known beforehand, both outputs, and every way to call it wrongly. */

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { MethodScore } from "../../src/forecast/score-tally.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { writeFiles } from "../e2e/running-conductor.ts";

const defer = cleanUpAfterEach();

interface Scored {
  overall: Record<string, MethodScore>;
  ratios: Record<string, Record<string, number | null>>;
  systems: {
    sys: string;
    methods: Record<string, MethodScore>;
    series: { coverage: Record<string, number> }[];
  }[];
  ticksPerSecond: Record<string, number>;
}

const methods = ["adaptive", "ols", "ols_ema", "last"];

/** A row a minute. */
const rows = (points: number, labels: string, mem: (minute: number) => number): string =>
  Array.from({ length: points }, (_, i) => `${i * 60},${mem(i)},${labels}\n`).join("");

/** 1 % more each minute: the line is right, and the last value off by 5 points. */
const rising = `t,mem,sys,seg\n${rows(70, "ramp,0", (minute) => minute)}`;
const noisy = `t,mem,sys,seg\n${rows(400, "noise,0", (i) => 50 + ((i * 7919) % 1009) / 100)}`;

/** Runs `forecast score ARGS…` beside `files`. */
function score(files: Record<string, string>, ...args: string[]) {
  const cwd = scratchFolder(defer);
  writeFiles(cwd, files);
  return conductor(["forecast", "score", ...args], { cwd });
}

async function scored(
  files: Record<string, string>,
  ...args: string[]
): Promise<Scored & Record<string, unknown>> {
  const { code, out, err } = await score(files, ...args, "-o", "json");
  expect([code, err]).toEqual([0, ""]);
  return JSON.parse(out);
}

test("a steady rise: the line is exact, its average lags by 3/7 of a minute, the last value by five", async () => {
  const report = await scored({ "ramp.csv": rising }, "ramp.csv");
  expect(report).toMatchObject({
    files: ["ramp.csv"],
    horizonSeconds: 300,
    points: 70,
    skipped: { history: 60, gap: 0, end: 5, noForecast: 0 },
    kernel: "wasm",
    fellBackBecause: null,
    compilers: true,
    systems: [{ file: "ramp.csv", sys: "ramp", points: 70, series: [{ seg: "0", points: 70, scored: 5 }] }],
  });
  const { overall, ratios, ticksPerSecond } = report;
  expect(Object.keys(overall)).toEqual(methods);
  expect(overall.ols?.mae).toBeLessThan(1e-9);
  // A moving average with weight 0.7 is behind a steady rise by 0.3 / 0.7 of a step.
  expect(overall.ols_ema?.mae).toBeCloseTo(3 / 7, 9);
  // Its increments are 1 each minute: half-width t(0.975, 50) * sqrt(300 / 60) = 2.00856 * 2.23607 = 4.49128.
  expect(overall.last?.mae).toBe(5);
  expect(overall.last?.width).toBeCloseTo(2 * 4.49128, 4);
  expect(overall.last?.coverage).toBe(0);
  expect(overall.last?.winkler).toBeCloseTo(2 * 4.49128 + 40 * (5 - 4.49128), 3);
  expect(Object.keys(ratios.ols ?? {})).toEqual(["maeToOlsEma", "maeToLast", "winklerToOls"]);
  expect(ratios.last?.maeToLast).toBe(1);
  for (const name of methods) expect(ticksPerSecond[name]).toBeGreaterThan(0);
});

test("several files are pooled; each is a system of its own; --horizon is how far", async () => {
  const files = { "a.csv": rising, "b.csv": noisy };
  const report = await scored(files, "a.csv", "b.csv", "--horizon", "2m");
  expect(report.horizonSeconds).toBe(120);
  expect(report.systems.map(({ sys, methods: own }) => [sys, own.last?.n])).toEqual([
    ["ramp", 8],
    ["noise", 338],
  ]);
  expect(report.overall.last?.n).toBe(346);
  expect(report.systems[0]?.methods.last?.mae).toBe(2);
});

test("as text: overall, ratios, systems, in 100 columns", async () => {
  const files = { "a.csv": rising, "a-long-name-of-a-host.csv": noisy };
  const { code, out, err } = await score(files, "a.csv", "a-long-name-of-a-host.csv");
  expect([code, err]).toEqual([0, ""]);
  expect(out).toMatch(/^2 files: 470 points, 2 series, 2 systems$/m);
  expect(out).toMatch(/^5 min ahead, .* 95 % intervals, wasm kernel$/m);
  expect(out).toMatch(/^METHOD +MAE +RMSE +P95 +COVERED +WIDTH +WINKLER +N$/m);
  expect(out).toMatch(/^last +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ % +[\d.]+ +[\d.]+ +340$/m);
  expect(out).toMatch(/^ols_ema +1\.000 +[\d.]+ +1\.000 +\d of 2 +[\d.]+ +[\d,]+$/m);
  expect(out).toMatch(/^a:ramp +last +5\.000 /m);
  expect(out).toMatch(/^a-long-name-of-a-ho… +ols /m);
  for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
});

describe("a trace that cannot be scored: exit 1, one line, nothing on stdout", () => {
  test.each<[string, string, string]>([
    ["text", `${rising}4200,much,ramp,0\n`, 'x.csv:72: column mem: "much" is not a number'],
    ["a missing column", "t,used\n0,1\n", 'x.csv:1: no column mem; the header has "t", "used": it needs t'],
    ["an empty file", "", "x.csv: is empty"],
    [
      "too few points",
      `t,mem,sys,seg\n${rows(65, "a,0", (i) => i)}`,
      "too short to score: it takes 60 points of history, and at least one more with a sample 5 min later; the longest of 1 series has 65 points over 64 min",
    ],
    [
      "gaps alone",
      `t,mem\n${Array.from({ length: 61 }, (_, i) => `${i * 5},1\n`).join("")}9999,1\n`,
      "none of 62 forecasts can be judged: 60 were made in the first 60 points of a series, 1 look past its end, 1 into a gap",
    ],
  ])("%s", async (_, content, message) => {
    const { code, out, err } = await score({ "x.csv": content }, "x.csv");
    expect(err).toStartWith(`conductor: ${message}`);
    expect(err.trimEnd()).not.toContain("\n");
    expect([code, out]).toEqual([1, ""]);
  });

  test("the second of two files, a folder, no file", async () => {
    const files = { "a.csv": rising, "sub/b.csv": "t,mem\n1,1\n1,2\n" };
    const repeated = await score(files, "a.csv", "sub/b.csv");
    expect([repeated.code, repeated.out]).toEqual([1, ""]);
    expect(repeated.err).toStartWith("conductor: sub/b.csv:3: column t: 1 repeats 1, the time of line 2");
    expect((await score(files, "sub")).err).toBe(
      "conductor: sub: is a directory: name the CSV files in it\n",
    );
    expect((await score(files, "c.csv")).err).toBe("conductor: c.csv: no such file\n");
  });
});

test.each<[string[], string]>([
  [["bogus"], 'bogus: unknown action; expected "score" or nothing; see conductor forecast --help'],
  [["scroe", "a.csv"], 'scroe: unknown action; did you mean "score"?'],
  [["score"], "score: expected a TRACE.csv, or several"],
  [["score", "a.csv", "./a.csv"], "./a.csv: given twice"],
  [["score", "a.csv", "--horizon", "5"], '--horizon 5: expected a unit (ms, s, m, h, d), such as "30s"'],
  [["score", "a.csv", "--horizon", "0s"], "--horizon 0s: must be above 0 and at most 1000000000 s"],
  [["score", "a.csv", "--port", "80"], "--port: asks a running conductor, which score does not need"],
  [["score", "a.csv", "-o", "csv"], "-o csv: expected json or text"],
  [["score", "a.csv", "--horizn", "5m"], "--horizn: unknown option; did you mean --horizon?"],
  [["--horizon", "5m"], '--horizon: is for "conductor forecast score TRACE.csv"'],
])("forecast %j is wrong usage: one line, exit 2", async (args, line) => {
  const { code, out, err } = await conductor(["forecast", ...args], { cwd: scratchFolder(defer) });
  expect(err).toBe(`conductor: ${line}\n`);
  expect([code, out]).toEqual([2, ""]);
});

test("without WASM it says so, and the score is the same", async () => {
  const cwd = scratchFolder(defer);
  writeFiles(cwd, { "b.csv": noisy });
  const args = ["forecast", "score", "b.csv", "-o", "json"];
  const [js, wasm] = await Promise.all([
    conductor(args, { cwd, environment: { BUN_JSC_useWasm: "0" } }),
    conductor(args, { cwd }),
  ]);
  expect(js.err).toMatch(
    /^conductor: the WASM kernel did not start: .*; scored with the JavaScript kernel\n$/,
  );
  const [fromJs, fromWasm] = [js, wasm].map(({ out }) => JSON.parse(out));
  expect(fromJs).toMatchObject({ kernel: "js", overall: fromWasm.overall });
});

const traces = join(import.meta.dir, "../../../shared/traces");

/** Made by other code than this: plain fits window by window in double precision. */
test.skipIf(!existsSync(`${traces}/exathlon.csv`))(
  "recorded traces score as other code scores them",
  async () => {
    const { overall } = await scored({}, `${traces}/exathlon.csv`);
    const figures = {
      ols: [0.343037037363, 0.9883450506985, 1.626529292197, 0.253281723325, 0.203062247482, 10.31699393184],
      ols_ema: [
        0.343795087533, 0.988497197992, 1.627572200959, 0.253281723325, 0.203062247482, 10.31699393184,
      ],
      last: [0.22354560754, 0.627102614512, 0.983595, 0.641366543253, 0.565740363182, 5.772895067994],
    };
    for (const [name, expected] of Object.entries(figures)) {
      const { mae, rmse, p95, coverage, width, winkler, n } = overall[name] as MethodScore;
      expect(n).toBe(5_942);
      [mae, rmse, p95, coverage, width, winkler].forEach((figure, i) => {
        expect(figure).toBeCloseTo(expected[i] as number, 9);
      });
    }
  },
);
