/** `/api/v1/scaling/…`: what the scaler sees, what it decided, and what it would decide. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import { ownOomScoreAdj } from "../plugins/oom-score.ts";
import { decide } from "../scaler/decide.ts";
import type { ForecastFacts, PluginFacts } from "../scaler/situation.ts";
import type { Json } from "../sdk/plugin.ts";
import type { DecisionRecord } from "../storage/decision-row.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { problem } from "./problem.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

const listQuery = z.strictObject({
  limit: wholeNumber(1, 500).optional(),
  before: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
  plugin: z.string().min(1).max(64).optional(),
});

const share = z.number().min(0).max(10);

const hypothesisSchema = z.strictObject({
  usedRatio: share.optional(),
  smoothedForecastRatio: share.optional(),
  upperForecastRatio: share.optional(),
});

type Hypothesis = z.output<typeof hypothesisSchema>;

/** A hypothetical state; what is left out is as it is now. */
const hypothesis: BodyShape<Hypothesis> = {
  schema: hypothesisSchema,
  name: "a hypothesis",
  expected: "{usedRatio?, smoothedForecastRatio?, upperForecastRatio?}, each a share of the budget",
  empty: {},
};

export function scalingRoutes(services: Services, administrators: MiddlewareHandler): Hono {
  const app = new Hono();
  app.get("/status", (context) => context.json(statusView(services)));
  app.get("/decisions", (context) => {
    const query = checkedQuery(context, listQuery);
    if (!query.ok) return query.response;
    const { limit, before, plugin } = query.value;
    const page = services.storage.decisions.list({ limit, beforeId: before, plugin });
    const { decisions, unreadable, nextBeforeId } = page;
    return context.json({
      decisions: decisions.map(decisionView),
      ...(unreadable.length ? { unreadable } : {}),
      next: nextBeforeId === null ? null : nextPage(nextBeforeId, limit, plugin),
    });
  });
  app.get("/decisions/:id", (context) => {
    const id = context.req.param("id");
    const found = /^\d{1,15}$/.test(id) ? services.storage.decisions.byId(Number(id)) : null;
    if (typeof found === "string")
      return problem(context, {
        status: 500,
        code: "decision_unreadable",
        title: "The decision is kept but cannot be read",
        detail: found,
      });
    if (found) return context.json(decisionView(found));
    return problem(context, {
      status: 404,
      code: "decision_unknown",
      title: "There is no such decision",
      detail: "see /api/v1/scaling/decisions for those that are kept",
    });
  });
  app.post("/evaluate", administrators, (context) => evaluate(context, services));
  return app;
}

/** The same list, from where this page ended. */
function nextPage(before: number, limit: number | undefined, plugin: string | undefined): string {
  const query = new URLSearchParams({ before: String(before) });
  if (limit !== undefined) query.set("limit", String(limit));
  if (plugin !== undefined) query.set("plugin", plugin);
  return `/api/v1/scaling/decisions?${query}`;
}

const forecastView = (forecast: ForecastFacts | null) =>
  forecast && { ...forecast, atMs: undefined, at: isoTime(forecast.atMs) };

function statusView({ scaler, policy: inForce, config, clock }: Services) {
  const policy = inForce();
  const { measured, forecast, verdict, shedding, acting, lastChangeMs } = scaler.status();
  return {
    at: isoTime(clock.nowMs()),
    policy: config.scaler.policy,
    thresholds: {
      shedRatio: policy.shedRatio,
      restoreRatio: policy.restoreRatio,
      emergencyRatio: policy.emergencyRatio,
      marginRatio: policy.marginRatio,
      dwellMs: policy.dwellMs,
    },
    order: policy.order,
    oomScoreAdj: ownOomScoreAdj(),
    shedding,
    stopping: acting,
    lastChangeAt: isoTimeOrNull(lastChangeMs),
    measured: measured && { ...measured, usedRatio: measured.usedBytes / measured.budgetBytes },
    forecast: forecastView(forecast),
    verdict,
    plugins: measured ? scaler.situation(measured).plugins : [],
  };
}

/** What came of an action; nothing while it is under way. */
function outcomeOf(action: unknown, outcomes: readonly unknown[]): object {
  const { plugin } = action as { plugin?: unknown };
  return (outcomes.find((each) => (each as { plugin?: unknown }).plugin === plugin) ?? {}) as object;
}

/** The decision with what came of each action beside it. */
export function decisionView(record: DecisionRecord) {
  const actions = Array.isArray(record.actions) ? record.actions : [];
  const outcomes = Array.isArray(record.outcome) ? record.outcome : [];
  return {
    id: record.id,
    at: isoTime(record.atMs),
    policy: record.policy,
    rule: record.rule,
    reason: record.reason,
    inputs: withIsoTime(record.inputs, "lastChangeMs", "lastChangeAt"),
    forecast: withIsoTime(record.forecast, "atMs", "at"),
    actions: actions.map((action) => ({ ...(action as object), ...outcomeOf(action, outcomes) })),
    alternatives: record.alternatives,
    outcome: outcomeText(actions.length, outcomes),
    outcomeAt: isoTimeOrNull(record.outcomeAtMs),
  };
}

/** Recorded data with one time written as every answer writes it. */
function withIsoTime(data: Json, from: string, to: string): Json {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return data;
  const { [from]: atMs, ...rest } = data;
  return { ...rest, [to]: typeof atMs === "number" ? isoTime(atMs) : null };
}

function outcomeText(actions: number, outcomes: unknown[]): "none" | "pending" | "done" | "failed" {
  if (actions === 0) return "none";
  if (outcomes.length < actions) return "pending";
  return outcomes.every((each) => (each as { done?: unknown }).done === true) ? "done" : "failed";
}

/** What would be decided in a hypothetical state; nothing is done. */
async function evaluate(context: Context, { scaler, policy, clock }: Services) {
  const body = await checkedBody(context, clock, hypothesis);
  if (!body.ok) return body.response;
  const { measured, forecast } = scaler.status();
  if (!measured)
    return problem(context, {
      status: 503,
      code: "no_measurement",
      title: "Memory has not been measured yet",
      detail: "try again in a second",
      retryAfterSeconds: 1,
    });
  const { usedRatio } = body.value;
  const usedBytes = usedRatio === undefined ? measured.usedBytes : usedRatio * measured.budgetBytes;
  const situation = scaler.situation({ ...measured, usedBytes });
  const supposed = supposedForecast(forecast, usedBytes / measured.budgetBytes, body.value, clock.nowMs());
  const verdict = decide(situation, supposed, policy());
  const plugins: readonly PluginFacts[] = situation.plugins;
  return context.json({
    verdict,
    situation: { usedBytes, budgetBytes: measured.budgetBytes, plugins },
    forecast: forecastView(supposed),
  });
}

/** The forecast as it is, with what was supposed of it; what is supposed where there is none is taken as ready. */
function supposedForecast(
  forecast: ForecastFacts | null,
  usedRatio: number,
  { smoothedForecastRatio, upperForecastRatio }: Hypothesis,
  nowMs: number,
): ForecastFacts | null {
  if (smoothedForecastRatio === undefined && upperForecastRatio === undefined) return forecast;
  const value = smoothedForecastRatio ?? forecast?.smoothedRatio ?? usedRatio;
  const upper = upperForecastRatio ?? Math.max(value, forecast?.upperRatio ?? value);
  return {
    state: "ready",
    atMs: forecast?.atMs ?? nowMs,
    valueRatio: value,
    smoothedRatio: value,
    lowerRatio: Math.min(value, forecast?.lowerRatio ?? value),
    upperRatio: upper,
  };
}
