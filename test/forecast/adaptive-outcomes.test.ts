/** Which point is the outcome of a forecast, counted beside the forecaster by a list that forgets nothing. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import * as layout from "../../assembly/adaptive/layout.ts";
import type { AdaptiveSeries } from "../../src/forecast/adaptive.ts";
import {
  adaptiveForecastOf,
  adaptiveOptions,
  gaussian,
  startSeconds,
  wasmAdaptive,
} from "./adaptive-streams.ts";
import { type SeededRandom, seededRandom } from "./seeded-random.ts";

/** Outcomes before which the interval is not judged. */
const unjudged = 20;

interface Waiting {
  target: number;
  lower: number;
  upper: number;
}

/** Counts what becomes of each forecast. It takes the usual step as the forecaster has it. */
class OutcomeCounter {
  readonly #waiting: Waiting[] = [];
  #taken = Number.NEGATIVE_INFINITY;
  #usualStep = 0;
  #steps = 0;
  #last = 0;
  scored = 0;
  missed = 0;
  judged = 0;
  covered = 0;
  most = 0;

  constructor(readonly horizonSeconds: number) {}

  meet(tSeconds: number, value: number): void {
    this.#learnStep(tSeconds);
    while (this.#waiting[0] !== undefined && this.#waiting[0].target <= tSeconds) {
      const { target, lower, upper } = this.#waiting.shift() as Waiting;
      if (tSeconds - target >= 1.5 * this.#usualStep) {
        this.missed++;
        continue;
      }
      if (this.scored++ < unjudged) continue;
      this.judged++;
      if (value >= lower && value <= upper) this.covered++;
    }
  }

  /** Takes the forecast made at a point, unless the one before is less than a 64th of the horizon old. */
  wait(tSeconds: number, { lower, upper }: { lower: number; upper: number }): void {
    if ((tSeconds - this.#taken) * 64 < this.horizonSeconds) return;
    this.#taken = tSeconds;
    this.#waiting.push({ target: tSeconds + this.horizonSeconds, lower, upper });
    this.most = Math.max(this.most, this.#waiting.length);
  }

  /** A running mean, of which one step moves a twentieth and counts half to twice the usual one. */
  #learnStep(tSeconds: number): void {
    const [step, usual] = [tSeconds - this.#last, this.#usualStep];
    this.#last = tSeconds;
    if (this.#steps++ === 0) return;
    const replaced = this.#steps === 2 || (this.#steps <= 11 && step < usual / 2);
    this.#usualStep = replaced
      ? step
      : usual + 0.05 * (Math.max(usual / 2, Math.min(2 * usual, step)) - usual);
  }
}

function countedBy(series: AdaptiveSeries): Record<string, number> {
  const cells = series.save();
  const { SCORED, MISSED, JUDGED, COVERED } = layout;
  const [scored, missed, judged, covered] = [SCORED, MISSED, JUDGED, COVERED].map(
    (cell) => cells[cell] as number,
  );
  return { scored, missed, judged, covered } as Record<string, number>;
}

type Step = (random: SeededRandom) => number;
const cadences: Record<string, Step> = {
  "every 30 s": () => 30,
  "at irregular times": (random) => 10 + 60 * random.unit(),
  "with gaps of up to an hour": (random) => (random.below(25) === 0 ? 3_600 * random.unit() + 1 : 30),
  "every 2 minutes": () => 120,
  "slower than the horizon": () => 450,
};

test.each(Object.entries(cadences))(
  "%s, each forecast meets the first point at or after its target, or none within 1.5 usual steps",
  (_, step) => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), fc.constantFrom(90, 300, 601.5), (seed, horizonSeconds) => {
        const random = seededRandom(seed);
        const series = wasmAdaptive.createSeries({ ...adaptiveOptions, horizonSeconds });
        const counter = new OutcomeCounter(horizonSeconds);
        let t = startSeconds;
        for (let i = 0; i < 600; i++) {
          const value = 500 + (i > 300 ? 3 : 1) * gaussian(random);
          counter.meet(t, value);
          expect(series.push(t, value, value)).toBe("accepted");
          counter.wait(t, adaptiveForecastOf(series));
          const { scored, missed, judged, covered } = counter;
          if (i % 20 === 0 || i > 580)
            expect(countedBy(series), `seed ${seed}, point ${i}`).toEqual({
              scored,
              missed,
              judged,
              covered,
            });
          t += step(random);
        }
        const { coverage, judged } = adaptiveForecastOf(series);
        expect({ coverage, judged }).toEqual({
          coverage: counter.covered / counter.judged,
          judged: counter.judged,
        });
      }),
      { numRuns: 8 },
    );
  },
);

test.each([
  [4.9, 62],
  [1, 60],
  [0.01, 64],
])("points every %d s leave at most %i forecasts waiting, and none is lost", (step, most) => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  const random = seededRandom(2);
  let longest = 0;
  for (let t = 0; t < 1_000; t += step) {
    series.push(startSeconds + t, 50 + gaussian(random), 50);
    longest = Math.max(longest, series.save()[layout.PENDING_COUNT] as number);
  }
  const { scored, missed } = countedBy(series);
  const taken = series.save()[layout.POINTS] as number;
  expect(Math.abs(longest - most)).toBeLessThanOrEqual(1);
  expect((scored as number) + (missed as number) + (series.save()[layout.PENDING_COUNT] as number)).toBe(
    taken,
  );
  expect(missed).toBe(0);
});

test.each([70, 30])(
  "what a surprise is: the distance of an outcome, %d, in half-widths of its own interval; 0 without one",
  (outcome) => {
    const series = wasmAdaptive.createSeries({ ...adaptiveOptions, horizonSeconds: 60 });
    const random = seededRandom(6);
    for (let i = 0; i < 300; i++) series.push(startSeconds + i * 60, 50 + gaussian(random), 50);
    const { value, lower, upper, atSeconds } = adaptiveForecastOf(series);
    series.push(atSeconds + 30, 50, 50);
    expect(series.news().surprise).toBe(0);
    series.push(atSeconds + 60, outcome, 50);
    const halfWidth = outcome > value ? upper - value : value - lower;
    expect(series.news().surprise).toBeCloseTo(Math.abs(outcome - value) / halfWidth, 6);
  },
);

test("a gap after the first point is no usual step for long: forecasts into later gaps are missed", () => {
  const series = wasmAdaptive.createSeries(adaptiveOptions);
  series.push(startSeconds, 50, 50);
  for (let i = 0; i < 20; i++) series.push(startSeconds + 86_400 + i * 30, 50, 50);
  expect(series.save()[layout.TYPICAL_STEP]).toBe(30);
});

test("an outcome is too late at 1.5 usual steps, of which the gap itself is one", () => {
  // A gap of 77.25 s counts 60, which moves the usual step by a twentieth from 30 to 31.5: 47.25 s are too late.
  for (const [gap, missed] of [
    [77.25, 1],
    [77, 0],
  ] as const) {
    const series = wasmAdaptive.createSeries(adaptiveOptions);
    for (let i = 0; i < 20; i++) series.push(startSeconds + i * 30, 50, 50);
    series.push(startSeconds + 19 * 30 + gap, 50, 50);
    expect(countedBy(series)).toMatchObject({ scored: 10 + 2 - missed, missed });
  }
});
