import { describe, expect, test } from "bun:test";
import { usedWith } from "../../src/conductor/counterfactual.ts";
import type { Sample } from "../../src/monitor/sample.ts";

const MiB = 2 ** 20;

const sample = (usedMiB: number | null, footprintsMiB: Record<string, number> | null): Sample =>
  ({
    atMs: 0,
    memory: usedMiB === null ? null : { usedBytes: usedMiB * MiB, budgetBytes: 1_000 * MiB },
    footprints:
      footprintsMiB &&
      Object.entries(footprintsMiB).map(([plugin, mib]) => ({ plugin, bytes: mib * MiB, method: "cgroup" })),
  }) as Sample;

const usual = (plugin: string) => (plugin === "unknown" ? null : 70 * MiB);

describe("memory as it would have been", () => {
  const table: [string, Sample, string[], number | null][] = [
    ["is what it was with the same plugins", sample(500, { a: 100, b: 50 }), ["a", "b"], 500],
    ["is less without a plugin that has been shed since", sample(500, { a: 100, b: 50 }), ["b"], 400],
    ["is more with a plugin that has been restored since", sample(500, { b: 50 }), ["a", "b"], 570],
    ["is both at once", sample(500, { a: 100 }), ["b"], 470],
    ["takes a plugin of unknown size for nothing", sample(500, {}), ["unknown"], 500],
    ["is never negative", sample(50, { a: 100 }), [], 0],
    ["is not known without a reading", sample(null, { a: 100 }), [], null],
    ["is not known without footprints", sample(500, null), [], null],
  ];
  test.each(table)("%s", (_, at, held, expectedMiB) => {
    expect(usedWith(at, new Set(held), usual)).toBe(expectedMiB === null ? null : expectedMiB * MiB);
  });

  test("a leak that was shed leaves a level line", () => {
    const leaking = [0, 1, 2, 3].map((tick) => sample(300 + 40 * tick, { leak: 40 * tick, rest: 300 }));
    expect(leaking.map((each) => usedWith(each, new Set(["rest"]), usual))).toEqual(Array(4).fill(300 * MiB));
  });
});
