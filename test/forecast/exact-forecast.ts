import type { Forecast } from "../../src/forecast/forecaster.ts";
import { expectClose } from "./closeness.ts";
import { type ExactLine, exactLine } from "./exact-line.ts";

type Points = readonly [number, number][];

/** Of the last points asked about: several series are compared with the same ones, one after the other. */
let last: (ExactLine & { points: Points; targetSeconds: number; spread: number }) | undefined;

function exactOf(points: Points, targetSeconds: number): ExactLine & { spread: number } {
  if (last?.points !== points || last.targetSeconds !== targetSeconds) {
    const values = points.map(([, y]) => y);
    const times = points.map(([t]) => t);
    const spread = Math.max(...values) - Math.min(...values);
    last = { points, targetSeconds, spread, ...exactLine(times, values, targetSeconds) };
  }
  return last;
}

/**
 * Fails unless slope and forecast have 12 digits of what rational arithmetic makes of the same points. The slope's scale
 * is that of the values over the window.
 */
export function expectExact(forecast: Forecast, points: Points, what: string): void {
  const { spread, ...exact } = exactOf(points, forecast.targetSeconds);
  const firstSeconds = points[0]?.[0] as number;
  const runSeconds = (points.at(-1)?.[0] as number) - firstSeconds;
  expectClose(forecast.slopePerSecond, exact.slopePerSecond, 1e-12, `${what}: slope`, spread / runSeconds);
  const reach = Math.abs(exact.slopePerSecond) * (forecast.targetSeconds - firstSeconds);
  expectClose(forecast.value, exact.value, 1e-12, `${what}: forecast`, spread + reach);
}
