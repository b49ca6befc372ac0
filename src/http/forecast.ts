/** `/api/v1/forecast`: what memory is expected to be. */

import { Hono } from "hono";
import { isoTime, type Services } from "./services.ts";

export function forecastRoutes(services: Services): Hono {
  const app = new Hono();
  app.get("/", (context) => context.json(forecastView(services)));
  return app;
}

/** Values are percent of the budget. */
function forecastView({ forecast, kernelFellBackBecause, config }: Services) {
  const report = forecast.report();
  const percent = (ratio: number) => ratio * 100;
  const restart = forecast.lastRestart;
  return {
    method: "ols",
    kernel: forecast.kernelName,
    kernelFellBackBecause,
    horizonSeconds: config.forecast.horizon / 1_000,
    unit: "percent of the budget",
    memory: report && {
      state: report.state,
      points: report.points,
      at: isoTime(report.atMs),
      targetAt: isoTime(report.targetMs),
      value: percent(report.valueRatio),
      smoothed: percent(report.smoothedRatio),
      lower: percent(report.lowerRatio),
      upper: percent(report.upperRatio),
      confidence: 0.95,
      slopePerMinute: percent(report.slopeRatioPerMinute),
      residualDeviation: percent(report.residualDeviationRatio),
    },
    historyBegan: restart && { at: isoTime(restart.atMs), because: restart.because },
    refused: forecast.refused,
  };
}
