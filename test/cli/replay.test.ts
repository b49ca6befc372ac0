/** replay on the executable: traces with known outcomes, and every way to call it wrongly. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ReplayReport } from "../../src/cli/replay.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { writeFiles } from "../e2e/running-conductor.ts";

const defer = cleanUpAfterEach();
/** Several simulations, on cores that others use too. */
setDefaultTimeout(60_000);

/** A row each half minute. */
const trace = (minutes: number, mem: (minute: number) => number): string =>
  `t,mem\n${Array.from({ length: 2 * minutes + 1 }, (_, i) => `${i * 30},${mem(i / 2)}\n`).join("")}`;

/** 10 MiB, so that what happens is the trace's doing; held by 1 GiB of 10. */
const plugins = `- { name: big, base: 1GiB }
- { name: small, base: 10MiB }
`;
const order = "order: [big, small]\n";
const host = ["--budget", "10GiB", "--share", "100%", "--plugins", "plugins.yaml"];

async function replay(files: Record<string, string>, ...args: string[]) {
  const cwd = scratchFolder(defer);
  writeFiles(cwd, { "plugins.yaml": plugins, ...files });
  return { cwd, ...(await conductor(["replay", ...args], { cwd })) };
}

async function report(files: Record<string, string>, ...args: string[]): Promise<ReplayReport> {
  const { code, out, err } = await replay(files, ...args, "-o", "json");
  expect([code, err]).toEqual([0, ""]);
  return JSON.parse(out);
}

describe("a trace", () => {
  /** 40 %, from minute 60 on up by 1 a minute to 90, from minute 160 on down by 1 a minute; with the plugins 10.1 % more. */
  const hill = trace(300, (minute) => Math.max(40, Math.min(90, minute - 20, 250 - minute)));

  test("that rises over the line: the first of the order is shed at it, and comes back when there is room", async () => {
    const found = await report(
      { "hill.csv": hill, "p.yaml": order },
      "hill.csv",
      ...host,
      "--policy",
      "p.yaml",
    );
    const [shed, restore] = found.decisions;
    expect(found).toMatchObject({
      stretches: 1,
      gaps: 0,
      short: 0,
      samples: 600,
      kernel: "wasm",
      again: null,
    });
    expect(found.metrics).toMatchObject({ oomKills: 0, sheds: 1, restores: 1, flaps: 0 });
    // 69.9 % of the base and 10.1 of the plugins are 80; a forecast may see it up to five minutes before.
    const minute = (ms = 0) => (ms - Date.UTC(2026, 0, 1)) / 60_000;
    expect(shed?.actions).toMatchObject([{ kind: "shed", plugin: "big", urgent: false }]);
    expect(minute(shed?.atMs)).toBeGreaterThan(84);
    expect(minute(shed?.atMs)).toBeLessThan(91);
    expect(restore?.actions).toMatchObject([{ kind: "restore", plugin: "big" }]);
    expect(minute(restore?.atMs)).toBeGreaterThan(185);
    const away = minute(restore?.atMs) - minute(shed?.atMs);
    // Two seconds to start.
    expect(found.metrics?.availability.big).toBeCloseTo(1 - (away + 2 / 60) / 300, 5);
    expect(found.metrics?.availability.small).toBe(1);
    expect(found.metrics?.weightedAvailability).toBeCloseTo(
      (1 * (found.metrics?.availability.big ?? 0) + 2) / 3,
      9,
    );
  });

  test("the same seed gives the same report, to the last byte of its decisions", async () => {
    const args = ["hill.csv", "--seed", "7"];
    const [one, other] = [
      await report({ "hill.csv": hill }, ...args),
      await report({ "hill.csv": hill }, ...args),
    ];
    expect({ ...one, durationMs: 0 }).toEqual({ ...other, durationMs: 0 });
    const third = await report({ "hill.csv": hill }, "hill.csv", "--seed", "8");
    expect(third.metrics?.weightedAvailability).not.toBe(one.metrics?.weightedAvailability ?? 0);
  });

  test("with a gap is cut there, and says so", async () => {
    const rows = hill.split("\n").filter((_, i) => i < 100 || i > 180);
    const { code, out } = await replay({ "gap.csv": rows.join("\n") }, "gap.csv", ...host);
    expect(code).toBe(0);
    expect(out).toContain(
      "gap.csv: 2 stretches, cut at 1 gap; policy mission, forecast adaptive, seed 1, wasm kernel",
    );
  });

  test("is drawn", async () => {
    const { cwd, code, out } = await replay({ "hill.csv": hill }, "hill.csv", ...host, "--plot", "hill.svg");
    expect(code).toBe(0);
    expect(out).toContain("the longest stretch is drawn in hill.svg");
    const svg = readFileSync(join(cwd, "hill.svg"), "utf8");
    expect(svg).toStartWith("<svg ");
    for (const text of ["big", "small", "emergency 95.0 %", "shed 80.0 %", "restore 65.0 %", "01-01 00:00"])
      expect(svg).toContain(`>${text}<`);
  });

  test("without anything that turns SVG into PNG, says what to install", async () => {
    const cwd = scratchFolder(defer);
    writeFiles(cwd, { "hill.csv": hill });
    const environment = { PATH: cwd };
    const { code, err } = await conductor(["replay", "hill.csv", "--plot", "hill.png"], { cwd, environment });
    expect([code, err]).toEqual([
      1,
      "conductor: --plot hill.png: nothing here turns SVG into PNG: install librsvg2-bin (rsvg-convert) or imagemagick, or name a file that ends with .svg\n",
    ]);
  });
});

const flat = trace(60, () => 50);

test.each([
  ["shed: 60%\nrestore: 65%\n", 'p.yaml:2: restore: "65%": expected less than scaler.shed (60%)'],
  ["scaler:\n  shed: 96%\n", 'p.yaml:2: scaler.shed: "96%": expected less than scaler.emergency (95%)'],
  ["shde: 60%\n", 'p.yaml:1: shde: unknown key; did you mean "shed"?'],
  [
    "scaler: {}\nmonitor: { interval: 30 }\n",
    "p.yaml:2: monitor.interval: 30: expected a text with a unit, such as 30s",
  ],
  ["shed: [\n", "p.yaml:2:1: "],
])("the policy %j is refused with file, line, key and reason", async (policy, line) => {
  const { code, out, err } = await replay({ "t.csv": flat, "p.yaml": policy }, "t.csv", "--policy", "p.yaml");
  expect(err).toStartWith(`conductor: ${line}`);
  expect([code, out]).toEqual([2, ""]);
});

test.each<[string[], number, string]>([
  [[], 2, "expected a trace (CSV) or a database of conductor; see conductor replay --help"],
  [["none.csv"], 1, "none.csv: no such file"],
  [["none.db"], 1, "there is no database"],
  [
    ["t.csv", "--policy", "none.yaml"],
    2,
    "none.yaml: no such file; expected a YAML file with a policy, and mission and adaptive need none",
  ],
  [["t.csv", "--seed", "-1"], 2, "Option '--seed' argument is ambiguous"],
  [["t.csv", "--seed", "x"], 2, "--seed x: expected a whole number from 0 to 4294967295"],
  [["t.csv", "--share", "0.5"], 2, '--share 0.5: expected a unit (%), such as "80%"'],
  [["t.csv", "--budget", "12"], 2, "--budget 12: expected a unit"],
  [["t.csv", "--budget", "1MiB"], 2, "--budget 1MiB: expected at least 16MiB"],
  [["t.csv", "--plot", "t.gif"], 2, "--plot t.gif: expected a name that ends with .svg or .png"],
  [
    ["t.csv", "--plugins", "bad.yaml"],
    2,
    "bad.yaml:1: [0].size: nothing: expected [least, most] of the budget for the pattern leak",
  ],
  [
    ["short.csv"],
    1,
    "short.csv: too short: none of its 1 stretches without a gap is at least 10 minutes long",
  ],
  [["text.csv"], 1, "text.csv:1: no column t and no column mem"],
])("%j is refused", async (args, exit, line) => {
  const files = {
    "t.csv": flat,
    "short.csv": trace(5, () => 50),
    "text.csv": "a\n1\n",
    "bad.yaml": "- { name: a, base: 1GiB, pattern: leak }\n",
  };
  const { code, out, err } = await replay(files, ...args);
  expect(err).toContain(line);
  expect([code, out]).toEqual([exit, ""]);
});

test("a report that its reader takes slowly comes whole", async () => {
  const steps = trace(3_000, (minute) => (Math.floor(minute / 30) % 2 === 0 ? 90 : 45));
  const cwd = scratchFolder(defer);
  writeFiles(cwd, { "steps.csv": steps });
  // The rest of the pipe is read when its first byte is: by then the command has written all that it can.
  const slowly = ["sh", "-c", '"$@" | { dd bs=1 count=1 2>/dev/null; cat; }', "sh"];
  const { out } = await conductor(["replay", "steps.csv", "-o", "json"], { cwd, wrap: slowly });
  expect(out.length).toBeGreaterThan(200_000);
  expect(JSON.parse(out).metrics.sheds).toBeGreaterThan(0);
});
