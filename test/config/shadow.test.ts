import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, loadConfig } from "../../src/config/load.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";

const defer = cleanUpAfterEach();

function load(text: string, files: Record<string, string> = {}) {
  const folder = scratchFolder(defer);
  for (const [name, content] of Object.entries({ "c.yaml": text, ...files }))
    writeFileSync(join(folder, name), content);
  return loadConfig({ file: "c.yaml", folder, environment: {} }).config;
}

function problems(text: string, files: Record<string, string> = {}): readonly string[] {
  try {
    load(text, files);
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
}

describe("shadow", () => {
  test("takes what its policy does where nothing is written, and the scaler's order", () => {
    const { shadow } = load(
      "scaler: { order: [a, b] }\nshadow: [{ name: late, policy: adaptive, shed: 92%, restore: 88%, margin: 2% }, { name: own, order: [b, a] }]",
    );
    expect(shadow).toMatchObject([
      {
        name: "late",
        promotion: "manual",
        probation: 86_400_000,
        settings: { policy: "adaptive", order: ["a", "b"], shed: 0.92, margin: 0.02, victims: "spare" },
      },
      { name: "own", settings: { policy: "mission", order: ["b", "a"], shed: 0.8 } },
    ]);
  });

  test("takes a policy file beside the configuration", () => {
    const { shadow } = load("scaler: { order: [a, b] }\nshadow: [{ name: late, file: late.yaml }]", {
      "late.yaml": "policy: adaptive\nshed: 90%\nrestore: 80%\n",
    });
    expect(shadow).toMatchObject([{ settings: { policy: "adaptive", shed: 0.9, order: ["a", "b"] } }]);
  });

  test("takes the scaler section of a whole configuration, whether it acts there or not", () => {
    const files = { "other.yaml": "scaler: { mode: observe, shed: 75% }\nhttp: { port: 1 }\n" };
    const { shadow } = load("shadow: [{ name: other, file: other.yaml }]", files);
    expect(shadow).toMatchObject([{ settings: { policy: "mission", shed: 0.75 } }]);
    expect(
      problems("shadow: [{ name: other, file: other.yaml }]", { "other.yaml": "scaler:\n  shed: 60%\n" }),
    ).toEqual(['shadow other: other.yaml:1: scaler.restore: "65%": expected less than shed (60%)']);
  });

  test("may be promoted by evidence, of which is said how much", () => {
    const { shadow } = load(
      "shadow: [{ name: late, policy: adaptive, probation: 12h, promotion: { after: 7d, betterBy: 1% } }]",
    );
    expect(shadow[0]).toMatchObject({
      probation: 43_200_000,
      promotion: { after: 604_800_000, betterBy: 0.01, differences: 20 },
    });
  });

  test.each([
    ["no name", "shadow: [{ policy: adaptive }]", "c.yaml:1: shadow[0].name: nothing: expected a text"],
    [
      "a key of the section that acts",
      "shadow: [{ name: a, mode: observe }]",
      "c.yaml:1: shadow[0].mode: unknown key; known: ",
    ],
    [
      "lines that contradict each other",
      "shadow:\n  - name: a\n    shed: 60%",
      'c.yaml:2: shadow[0].restore: "65%": expected less than shed (60%)',
    ],
    [
      "two of one name",
      "shadow: [{ name: a }, { name: a }]",
      'c.yaml:1: shadow[1].name: "a": "a" stands twice',
    ],
    [
      "five",
      `shadow: [${[1, 2, 3, 4, 5].map((n) => `{ name: s${n} }`).join(", ")}]`,
      "expected at most 4 entries",
    ],
    [
      "a file and settings",
      "shadow: [{ name: a, file: p.yaml, shed: 90% }]",
      'shadow[0].file: "p.yaml": expected the settings of the policy there or here, not both',
    ],
    [
      "a promotion that is none",
      "shadow: [{ name: a, promotion: always }]",
      'shadow[0].promotion: "always": expected manual, or {after: 7d, betterBy: 1%, differences: 20}',
    ],
    [
      "evidence of less than a day, which nothing could be told from",
      "shadow: [{ name: a, promotion: { after: 12h, betterBy: 1% } }]",
      "expected manual, or {after: 7d, betterBy: 1%, differences: 20}; after is 1d to 366d",
    ],
    ["no such file", "shadow: [{ name: a, file: p.yaml }]", "shadow a: p.yaml: cannot be read: no such file"],
  ])("refuses %s", (_, text, line) => {
    expect(problems(text).join("\n")).toContain(line);
  });

  test("refuses a policy file as it would refuse the section, with the file's line", () => {
    const files = { "p.yaml": "policy: adaptive\nshde: 90%\n" };
    expect(problems("shadow: [{ name: a, file: p.yaml }]", files)).toEqual([
      'shadow a: p.yaml:2: shde: unknown key; did you mean "shed"?',
    ]);
    expect(problems("shadow: [{ name: a, file: p.yaml }]", { "p.yaml": "- 1\n" })).toEqual([
      "shadow a: p.yaml: [1]: expected a mapping of keys",
    ]);
  });
});
