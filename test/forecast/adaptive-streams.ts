/** Made-up series for the adaptive forecaster, each the same in every run. */
import * as layout from "../../assembly/adaptive/layout.ts";
import type { AdaptiveForecast, AdaptiveKernel, AdaptiveSeries } from "../../src/forecast/adaptive.ts";
import {
  createJsAdaptiveKernel,
  createWasmAdaptiveKernel,
  readAdaptiveModule,
} from "../../src/forecast/adaptive-kernels.ts";
import { type SeededRandom, seededRandom } from "./seeded-random.ts";

/** A Wednesday, 00:00:00 UTC. */
export const startSeconds = 1_699_401_600;

export const adaptiveOptions = { horizonSeconds: 300, threshold: 80, coldHalfWidth: 100 };

export const jsAdaptive = createJsAdaptiveKernel();
/** As built, without the fallback. */
export const wasmAdaptive: AdaptiveKernel = await createWasmAdaptiveKernel(await readAdaptiveModule());

/** A number of the standard normal distribution (Box and Muller 1958). */
export function gaussian(random: SeededRandom): number {
  return Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit());
}

/** Gives the values of a series one after the other; `tSeconds` is the time since its beginning. */
export type Stream = (tSeconds: number) => number;

/** Independent noise about 50. */
export function noise(seed: number, deviation = 1): Stream {
  const random = seededRandom(seed);
  return () => 50 + deviation * gaussian(random);
}

/** Noise about 50 of which a share `alike` stays from point to point; its deviation is `deviation`. */
export function autoregressive(seed: number, alike: number, deviation = 1): Stream {
  const random = seededRandom(seed);
  const fresh = deviation * Math.sqrt(1 - alike * alike);
  let state = deviation * gaussian(random);
  return () => {
    state = alike * state + fresh * gaussian(random);
    return 50 + state;
  };
}

/** A walk from 50 that turns back at 5 and 95. */
export function randomWalk(seed: number, deviation = 0.3): Stream {
  const random = seededRandom(seed);
  let state = 50;
  return () => {
    state += deviation * gaussian(random);
    if (state < 5) state = 10 - state;
    if (state > 95) state = 190 - state;
    return state;
  };
}

export interface Feed {
  readonly points: number;
  readonly stepSeconds?: number;
  readonly from?: number;
}

/** Feeds a stream, with the value itself as the line's forecast, and hears of each point. */
export function feedStream(
  series: AdaptiveSeries,
  stream: Stream,
  { points, stepSeconds = 30, from = 0 }: Feed,
  onPoint?: (i: number, value: number, tSeconds: number) => void,
): void {
  for (let i = from; i < from + points; i++) {
    const value = stream(i * stepSeconds);
    const tSeconds = startSeconds + i * stepSeconds;
    if (series.push(tSeconds, value, value) !== "accepted") throw new Error(`point ${i} was refused`);
    onPoint?.(i, value, tSeconds);
  }
}

/** The forecast of a series that must have one. */
export function adaptiveForecastOf(series: AdaptiveSeries): AdaptiveForecast {
  const forecast = series.forecast();
  if (!forecast) throw new Error("the series has no forecast");
  return forecast;
}

/** Fails unless the value lies within its interval and all are numbers. */
export function expectOrder({ lower, value, upper, atLeast, atMost }: AdaptiveForecast, what: string): void {
  const ordered = lower <= value && value <= upper && atLeast <= value && value <= atMost;
  const finite = [lower, value, upper, atLeast, atMost].every(Number.isFinite);
  if (!ordered || !finite || lower < 0)
    throw new Error(`${what}: ${lower} ${atLeast} ${value} ${atMost} ${upper}`);
}

/** Where a memory keeps the newest forecast that waits. */
export function newestRow(cells: Float64Array): number {
  const place = (cells[layout.PENDING_FIRST] as number) + (cells[layout.PENDING_COUNT] as number) - 1;
  return layout.PENDING + (place % layout.PENDING_CAPACITY) * layout.PENDING_FIELDS;
}
