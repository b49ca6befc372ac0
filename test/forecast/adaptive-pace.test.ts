/** Outcomes of overlapping horizons are one experience: the more there are, the less each of them moves. */
import { expect, test } from "bun:test";
import { learnCoverage, startConformal } from "../../assembly/adaptive/conformal.ts";
import { learnOutcome, startExperts } from "../../assembly/adaptive/experts.ts";
import * as layout from "../../assembly/adaptive/layout.ts";
import { expectClose } from "./closeness.ts";
import "./adaptive-streams.ts";

const row = layout.PENDING;

test.each([
  // A horizon of 300 s: five outcomes or fewer move all the way, ten half, and never more than 64 are taken.
  [600, 1],
  [60, 1],
  [30, 1 / 2],
  [5, 1 / 12],
  [1, 5 / 64],
])("a point each %d s, an outcome moves %d of what it does alone", (step, pace) => {
  const cells = new Float64Array(layout.CELLS);
  startExperts(cells);
  startConformal(cells);
  [cells[layout.HORIZON_SECONDS], cells[layout.TYPICAL_STEP], cells[layout.SCORED]] = [300, step, 1_000];
  cells.fill(100, layout.LOSSES, layout.LOSSES + layout.EXPERTS);
  const variance = layout.SCALES_MODEL + layout.REGRESSION_HEADER + layout.SCALE_FEATURES;
  const before = cells[variance] as number;
  // Experts, bounds and outcome are all 0, so that the losses only fade; features that say nothing are only forgotten.
  cells[row + layout.PENDING_SPREAD_ABOVE] = 1;
  cells[row + layout.PENDING_SPREAD_BELOW] = 1;
  learnCoverage(cells, row, 0);
  learnOutcome(cells, row, 0);
  expect(cells[layout.LOSSES]).toBeCloseTo(100 * (1 - 0.002 * pace), 9);
  expectClose(before / (cells[variance] as number), 1 - 0.003 * pace, 1e-12, "forgetting");
  expect(cells[layout.RECENT_COVERAGE]).toBeCloseTo(0.95 + 0.05 * 0.008 * pace, 12);
});
