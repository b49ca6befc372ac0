/** `/api/v1/resources/…`: what is measured. */

import { Hono } from "hono";
import * as z from "zod";
import { type MetricName, metricNames, metricOf, type Sample } from "../monitor/sample.ts";
import { summarize } from "../monitor/summary.ts";
import { problem } from "./problem.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

const historyQuery = z.strictObject({ limit: wholeNumber(1, 10_000).optional() });
const anomalyQuery = z.strictObject({ sigma: z.coerce.number().min(1).max(10).optional() });

export function resourceRoutes(services: Services): Hono {
  const { window, config } = services;
  const app = new Hono();
  app.get("/current", (context) => {
    const sample = window.current();
    if (sample) return context.json(sampleView(sample));
    return problem(context, {
      status: 503,
      code: "no_sample",
      title: "Nothing has been sampled yet",
      detail: "try again in a second",
      retryAfterSeconds: 1,
    });
  });
  app.get("/history", (context) => {
    const query = checkedQuery(context, historyQuery);
    if (!query.ok) return query.response;
    const samples = window.history(query.value.limit).map(sampleView);
    return context.json({ intervalMs: config.monitor.interval, capacity: window.capacity, samples });
  });
  app.get("/trends", (context) => context.json({ trends: window.trends() }));
  app.get("/anomalies", (context) => {
    const query = checkedQuery(context, anomalyQuery);
    if (!query.ok) return query.response;
    const sigma = query.value.sigma ?? config.monitor.anomalySigma;
    const anomalies = window.anomalies(sigma);
    return context.json({
      sigma,
      anomalies: anomalies.map(({ atMs, ...rest }) => ({ at: isoTime(atMs), ...rest })),
    });
  });
  app.get("/summary", (context) => context.json(summaryView(services)));
  return app;
}

/** A sample with its metrics side by side; a gap is null. */
export function sampleView(sample: Sample) {
  const { atMs, memory, disk, load, pressure, footprints } = sample;
  const metrics = Object.fromEntries(metricNames.map((name) => [name, metricOf(sample, name)]));
  return {
    at: isoTime(atMs),
    ...(metrics as Record<MetricName, number | null>),
    memory,
    disk,
    load,
    pressure,
    footprints,
  };
}

function summaryView({ window, gaps, reflexDelayMs, config }: Services) {
  const { current, sinceMs, ...summary } = summarize(window);
  return {
    at: current && isoTime(current.atMs),
    sinceAt: isoTimeOrNull(sinceMs),
    current: current && sampleView(current),
    ...summary,
    capacity: window.capacity,
    intervalMs: config.monitor.interval,
    reflexIntervalMs: reflexDelayMs(),
    gaps: gaps(),
    anomalies: window.anomalies(config.monitor.anomalySigma).length,
  };
}
