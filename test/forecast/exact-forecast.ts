import type { Forecast } from "../../src/forecast/forecaster.ts";
import { expectClose } from "./closeness.ts";
import { exactLine } from "./exact-line.ts";

/**
 * Fails unless slope and forecast have 12 digits of what rational arithmetic makes of the same points. The slope's scale
 * is that of the values over the window.
 */
export function expectExact(forecast: Forecast, points: readonly [number, number][], what: string): void {
  const times = points.map(([t]) => t);
  const values = points.map(([, y]) => y);
  const exact = exactLine(times, values, forecast.targetSeconds);
  const spread = Math.max(...values) - Math.min(...values);
  const run = (times.at(-1) as number) - (times[0] as number);
  expectClose(forecast.slopePerSecond, exact.slopePerSecond, 1e-12, `${what}: slope`, spread / run);
  const reach = Math.abs(exact.slopePerSecond) * (forecast.targetSeconds - (times[0] as number));
  expectClose(forecast.value, exact.value, 1e-12, `${what}: forecast`, spread + reach);
}
