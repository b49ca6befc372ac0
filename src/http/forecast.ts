/** `/api/v1/forecast`: what memory is expected to be, by both methods, and how far that can be trusted. */

import { Hono } from "hono";
import type { AdaptiveForecast } from "../forecast/adaptive.ts";
import type { Forecast } from "../forecast/forecaster.ts";
import type { MemoryForecastReport } from "../forecast/memory-forecast.ts";
import { isoTime, type Services } from "./services.ts";

export function forecastRoutes(services: Services): Hono {
  const app = new Hono();
  app.get("/", (context) => context.json(forecastView(services)));
  return app;
}

const shownTrainings = 10;
const shownAnomalies = 20;
const percent = (ratio: number): number => ratio * 100;

/** Values are percent of the budget. */
function forecastView(services: Services) {
  const { forecast, kernelFellBackBecause, config, storage, policy, forecastAnomalies } = services;
  const restart = forecast.lastRestart;
  const [line, mix, trend] = [forecast.line(), forecast.mix(), forecast.trend(policy().shedRatio)];
  return {
    method: forecast.method,
    kernel: forecast.kernelName,
    kernelFellBackBecause,
    horizonSeconds: config.forecast.horizon / 1_000,
    unit: "percent of the budget",
    memory: memoryView(forecast.report(), line),
    methods: { adaptive: mix && mixView(mix), ols: line && lineView(line) },
    slopePerMinute: trend.slopePerSecond * 60,
    slopeIsSignificant: trend.significant,
    timeToThreshold: trend.crossing && { thresholdPercent: percent(policy().shedRatio), ...trend.crossing },
    anomalies: forecastAnomalies()
      .slice(0, shownAnomalies)
      .map(({ atMs, ...anomaly }) => ({ at: isoTime(atMs), ...anomaly })),
    trainings: storage.trainings
      .latest(shownTrainings)
      .map(({ atMs, adopted, ...training }) => ({ at: isoTime(atMs), ...training, adopted: adopted === 1 })),
    historyBegan: restart && { at: isoTime(restart.atMs), because: restart.because },
    refused: forecast.refused,
  };
}

/** The forecast in charge, with the slope of the line and what is left of it. */
const memoryView = (report: MemoryForecastReport | null, line: Forecast | null) =>
  report && {
    method: report.method,
    state: report.state,
    calibration: report.calibration,
    points: report.points,
    at: isoTime(report.atMs),
    targetAt: isoTime(report.targetMs),
    value: percent(report.valueRatio),
    smoothed: percent(report.smoothedRatio),
    lower: percent(report.lowerRatio),
    upper: percent(report.upperRatio),
    confidence: 0.95,
    slopePerMinute: (line?.slopePerSecond ?? 0) * 60,
    residualDeviation: line?.residualDeviation ?? null,
  };

const lineView = ({ state, points, value, smoothed, lower, upper, ...line }: Forecast) => ({
  state,
  points,
  value,
  smoothed,
  lower,
  upper,
  slopePerMinute: line.slopePerSecond * 60,
  residualDeviation: line.residualDeviation,
});

const mixView = ({ calibration, points, value, lower, upper, ...mix }: AdaptiveForecast) => ({
  calibration,
  points,
  value,
  lower,
  upper,
  atLeast: mix.atLeast,
  atMost: mix.atMost,
  coverage: mix.coverage,
  recentCoverage: mix.recentCoverage,
  outcomes: mix.judged,
  usualError: mix.usualError,
  weights: mix.weights,
});
