/** compare on the executable: a policy that is better by construction, one that is the same, and wrong calls. */

import { expect, setDefaultTimeout, test } from "bun:test";
import type { CompareReport } from "../../src/cli/compare.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";
import { writeFiles } from "../e2e/running-conductor.ts";

const defer = cleanUpAfterEach();
/** Several simulations, on cores that others use too. */
setDefaultTimeout(60_000);

/** Sheds at a use that a calm host has always: its first plugin never runs for long. */
const nervous = "shed: 40%\nrestore: 35%\nmargin: 2%\n";
const usual = "{}\n";

async function compare(...args: string[]) {
  const cwd = scratchFolder(defer);
  const trace = `t,mem\n${Array.from({ length: 61 }, (_, i) => `${i * 30},${60 + (i % 7)}\n`).join("")}`;
  writeFiles(cwd, { "nervous.yaml": nervous, "usual.yaml": usual, "t.csv": trace });
  return conductor(["compare", ...args], { cwd });
}

const report = async (...args: string[]): Promise<CompareReport> => {
  const { code, out, err } = await compare(...args, "-o", "json");
  expect([code, err]).toEqual([0, ""]);
  return JSON.parse(out);
};

test("the better one is named, whichever comes first", async () => {
  const args = ["--trace", "t.csv", "--seeds", "6"];
  const first = await report("usual.yaml", "nervous.yaml", ...args);
  expect(first.trials).toHaveLength(6);
  expect(first.against[0]?.comparison).toMatchObject({ winner: "A", because: "by weighted availability" });
  const second = await report("nervous.yaml", "usual.yaml", ...args);
  expect(second.against[0]?.comparison.winner).toBe("B");
  const text = await compare("usual.yaml", "nervous.yaml", "usual.yaml", ...args);
  expect(text.out).toMatch(/^A = usual.yaml, B = nervous.yaml, C = usual.yaml\non 6 hosts, 6 seeds: t.csv; /);
  expect(text.out).toMatch(/^weighted availability .* A is better$/m);
  expect(text.out).toContain("overall: A is better (by weighted availability)");
  expect(text.out).toContain(
    "overall: cannot tell (alike by weighted availability and by kills of the kernel)",
  );
});

test("with too few hosts nothing is told", async () => {
  const { against } = await report("usual.yaml", "nervous.yaml", "--trace", "t.csv", "--seeds", "2");
  expect(against[0]?.comparison).toMatchObject({ winner: "cannot tell", because: "fewer than 5 hosts" });
});

test("traces and patterns can be joined", async () => {
  const { trials } = await report(
    "mission",
    "adaptive",
    "--trace",
    "t.csv",
    "--pattern",
    "leak,burst",
    "--seeds",
    "1",
  );
  expect(trials.map(({ label }) => label)).toEqual(["t.csv t/0 seed 1", "leak seed 1", "burst seed 1"]);
});

test.each<[string[], string]>([
  [["usual.yaml"], "expected at least two policies, such as: conductor compare mission adaptive"],
  [["usual.yaml", "none.yaml"], "none.yaml: no such file; expected a YAML file with a policy"],
  [
    ["usual.yaml", "usual.yaml", "--pattern", "leek"],
    "--pattern leek: expected one of leak, step, burst, sawtooth, diurnal, mixed, all",
  ],
  [["usual.yaml", "usual.yaml", "--seeds", "0"], "--seeds 0: expected a whole number from 1 to 1000"],
  [["usual.yaml", "usual.yaml", "--days", "400"], "--days 400: expected a whole number from 1 to 366"],
])("%j is wrong usage", async (args, line) => {
  const { code, out, err } = await compare(...args);
  expect(err).toContain(line);
  expect([code, out]).toEqual([2, ""]);
});
