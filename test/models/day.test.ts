/** A day of questions on a small host: the ladder against one model for ever, and against what was used last. */

import { expect, test } from "bun:test";
import { ladderPolicy } from "../../src/models/ladder-facts.ts";
import { budgetBytes, DayHost, type DayResult, rungs } from "./day-host.ts";
import { ladder, leastRecentlyUsed, loadOrFail } from "./day-strategies.ts";
import { dayTrace } from "./day-trace.ts";

const row = (result: DayResult): string => {
  const { strategy, asked, whole, cut, failed, refused, quality, kernelKills, loads } = result;
  const numbers = [asked, whole, cut, failed, refused, kernelKills].map((each) => String(each).padStart(8));
  return `${strategy.padEnd(22)}${numbers.join("")}${quality.toFixed(1).padStart(9)}${(loads / 24).toFixed(2).padStart(9)}`;
};

const smallest = rungs.at(-1)?.script.bytes ?? 0;

// What it is worse in: the quality of LRU is higher, which fills memory to the last byte; and LRU refuses less where the
// others leave so little that even the smallest model would come to the last line.
test.each([7, 1])(
  "through a day of seed %d, the ladder is killed less and refuses only where even the last model comes to its line",
  async (seed) => {
    const trace = dayTrace(seed);
    const results: DayResult[] = [];
    for (const make of [ladder, leastRecentlyUsed, loadOrFail("large"), loadOrFail("small")])
      results.push(await new DayHost().run(make, trace));
    console.log(
      [
        `seed ${seed}`,
        `${"".padEnd(22)}   asked   whole     cut  failed refused   kills  quality  loads/h`,
        ...results.map(row),
      ].join("\n"),
    );
    const [ours, lru, large, small] = results;
    if (!ours || !lru || !large || !small) throw new Error("no results");
    for (const { asked, whole, cut, failed, refused } of results)
      expect(whole + cut + failed + refused).toBe(asked);
    expect(ours.kernelKills).toBeLessThan(Math.min(lru.kernelKills, large.kernelKills));
    expect(ours.refused).toBeLessThan(large.refused);
    expect(ours.quality).toBeGreaterThan(small.quality);
    expect(ours.loads).toBeLessThan(lru.loads);
    if (ours.refusedFromBytes !== null)
      expect(ours.refusedFromBytes + smallest).toBeGreaterThanOrEqual(
        ladderPolicy.lastStepDownRatio * budgetBytes,
      );
  },
  120_000,
);
