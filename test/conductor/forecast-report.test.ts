/** What a new point means for those who watch: metrics, and each anomaly once as event, count and entry. */

import { afterEach, expect, test } from "bun:test";
import { ForecastReport } from "../../src/conductor/forecast-report.ts";
import { EventBus } from "../../src/events/bus.ts";
import { recordedLog, scratchFolder, storageAt, undoAll } from "../storage/scratch.ts";
import { learningForecast, startMs, stepMs } from "./learning-forecast.ts";

afterEach(undoAll);

test("a spike is told once as an event, counted, and kept for those who ask, with the metrics of the forecast", async () => {
  const storage = storageAt(`${scratchFolder()}/c.db`);
  const { forecast, learning, metrics, clock } = learningForecast({ storage, folder: null });
  const { log } = recordedLog();
  const events = new EventBus(clock, log);
  const told: string[] = [];
  events.on("forecast.anomaly", ({ kind }) => told.push(kind));
  const report = new ForecastReport({
    forecast,
    learning,
    events,
    metrics,
    log,
    horizonMs: 300_000,
    shedRatio: () => 0.8,
    emergencyRatio: () => 0.95,
  });
  const point = (i: number, usedRatio: number) => {
    forecast.observe(startMs + i * stepMs, usedRatio);
    report.onPoint(startMs + i * stepMs);
  };
  for (let i = 0; i < 60; i++) point(i, 0.5 + (i % 3) / 1_000);
  expect(told).toEqual([]);
  point(60, 0.6);
  expect(told).toContain("spike");
  expect(report.anomalies().map(({ kind, atMs }) => [kind, atMs])).toContainEqual([
    "spike",
    startMs + 60 * stepMs,
  ]);
  const text = await metrics.render();
  expect(text).toContain('conductor_forecast_anomalies_total{kind="spike"} 1');
  expect(text).toMatch(/^conductor_forecast_memory_ratio 0\.\d+$/m);
  expect(text).toMatch(/^conductor_forecast_expert_weight_ratio\{expert="last"\} 0\.\d+$/m);
  point(61, 0.6);
  expect(told.filter((kind) => kind === "spike")).toHaveLength(1);
});

test("a forecast that goes over the shed line is told once, with the line and how far ahead", () => {
  const storage = storageAt(`${scratchFolder()}/c.db`);
  const { forecast, learning, metrics, clock } = learningForecast({ storage, folder: null });
  const { log } = recordedLog();
  const events = new EventBus(clock, log);
  const told: object[] = [];
  events.on("forecast.crossing", (crossing) => told.push(crossing));
  const report = new ForecastReport({
    forecast,
    learning,
    events,
    metrics,
    log,
    horizonMs: 300_000,
    shedRatio: () => 0.8,
    emergencyRatio: () => 0.95,
  });
  for (let i = 0; i < 90; i++) {
    const usedRatio = i < 60 ? 0.5 : 0.85;
    forecast.observe(startMs + i * stepMs, usedRatio + (i % 3) / 10_000);
    report.onPoint(startMs + i * stepMs);
  }
  expect(told.filter((each) => (each as { threshold: string }).threshold === "shed")).toEqual([
    {
      threshold: "shed",
      direction: "above",
      valueRatio: expect.any(Number),
      thresholdRatio: 0.8,
      horizonMs: 300_000,
    },
  ]);
});
