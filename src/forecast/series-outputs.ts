/** Reads the outputs of a series, the same eleven numbers from either kernel. */
import type { Forecast, PushResult, RefusedCounts } from "./forecaster.ts";
import {
  OUTPUT_AT_SECONDS,
  OUTPUT_BACKWARD,
  OUTPUT_INTERVAL,
  OUTPUT_NOT_FINITE,
  OUTPUT_POINTS,
  OUTPUT_REPEATED,
  OUTPUT_SLOPE_PER_SECOND,
  OUTPUT_SMOOTHED,
  OUTPUT_STATE,
  OUTPUT_SUM_SQUARED_RESIDUAL,
  OUTPUT_VALUE,
  OUTPUTS,
  STATE_EMPTY,
  STATE_READY,
} from "./series-layout.ts";

/** By the number that a push on the memory answers. */
export const pushResults: readonly PushResult[] = ["accepted", "not-finite", "repeated", "backward"];

/** The forecast in `outputs`, which begin at its index 0; null while the series is empty. */
export function readForecast(outputs: Float64Array, horizonSeconds: number): Forecast | null {
  const at = (field: number): number => outputs[field - OUTPUTS] as number;
  const state = at(OUTPUT_STATE);
  if (state === STATE_EMPTY) return null;
  const ready = state === STATE_READY;
  const atSeconds = at(OUTPUT_AT_SECONDS);
  const value = at(OUTPUT_VALUE);
  const halfWidth = ready ? Math.sqrt(at(OUTPUT_INTERVAL)) : at(OUTPUT_INTERVAL);
  return {
    state: ready ? "ready" : "cold",
    points: at(OUTPUT_POINTS),
    atSeconds,
    targetSeconds: atSeconds + horizonSeconds,
    value,
    smoothed: at(OUTPUT_SMOOTHED),
    lower: value - halfWidth,
    upper: value + halfWidth,
    slopePerSecond: at(OUTPUT_SLOPE_PER_SECOND),
    residualDeviation: ready
      ? Math.sqrt(at(OUTPUT_SUM_SQUARED_RESIDUAL) / (at(OUTPUT_POINTS) - 2))
      : halfWidth,
  };
}

/** The value of that forecast alone. */
export function readForecastValue(outputs: Float64Array): number | null {
  if (outputs[OUTPUT_STATE - OUTPUTS] === STATE_EMPTY) return null;
  return outputs[OUTPUT_VALUE - OUTPUTS] as number;
}

export function readRefused(outputs: Float64Array): RefusedCounts {
  return {
    notFinite: outputs[OUTPUT_NOT_FINITE - OUTPUTS] as number,
    repeated: outputs[OUTPUT_REPEATED - OUTPUTS] as number,
    backward: outputs[OUTPUT_BACKWARD - OUTPUTS] as number,
  };
}
