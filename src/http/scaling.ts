/** `/api/v1/scaling/…`: what the scaler sees, what it decided, and what it would decide. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import { describeIssues } from "../config/issues.ts";
import { decide } from "../scaler/decide.ts";
import type { ForecastFacts, PluginFacts, Verdict } from "../scaler/situation.ts";
import type { DecisionRecord } from "../storage/decision-row.ts";
import { problem } from "./problem.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

const listQuery = z.strictObject({
  limit: wholeNumber(1, 500).optional(),
  before: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
  plugin: z.string().min(1).max(64).optional(),
});

const share = z.number().min(0).max(10);

/** A hypothetical state; what is left out is as it is now. */
const hypothesis = z.strictObject({
  usedRatio: share.optional(),
  smoothedForecastRatio: share.optional(),
  upperForecastRatio: share.optional(),
});

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
      next: nextBeforeId === null ? null : `/api/v1/scaling/decisions?before=${nextBeforeId}`,
    });
  });
  app.get("/decisions/:id", (context) => {
    const id = Number(context.req.param("id"));
    const found = Number.isSafeInteger(id) ? services.storage.decisions.byId(id) : null;
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

const forecastView = (forecast: ForecastFacts | null) =>
  forecast && { ...forecast, atMs: undefined, at: isoTime(forecast.atMs) };

const verdictView = (verdict: Verdict | null) => verdict && { ...verdict };

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
    shedding,
    stopping: acting,
    lastChangeAt: isoTimeOrNull(lastChangeMs),
    measured: measured && { ...measured, usedRatio: measured.usedBytes / measured.budgetBytes },
    forecast: forecastView(forecast),
    verdict: verdictView(verdict),
    plugins: measured ? scaler.situation(measured).plugins : [],
  };
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
    inputs: record.inputs,
    forecast: record.forecast,
    actions: actions.map((action, index) => ({
      ...(action as object),
      ...((outcomes[index] ?? {}) as object),
    })),
    alternatives: record.alternatives,
    outcome: outcomeText(actions.length, outcomes),
    outcomeAt: isoTimeOrNull(record.outcomeAtMs),
  };
}

function outcomeText(actions: number, outcomes: unknown[]): "none" | "pending" | "done" | "failed" {
  if (actions === 0) return "none";
  if (outcomes.length < actions) return "pending";
  return outcomes.every((each) => (each as { done?: unknown }).done === true) ? "done" : "failed";
}

/** What would be decided in a hypothetical state; nothing is done. */
async function evaluate(context: Context, { scaler, policy }: Services) {
  const text = await context.req.text();
  let body: unknown;
  try {
    body = text === "" ? {} : JSON.parse(text);
  } catch (error) {
    return problem(context, {
      status: 400,
      code: "body_malformed",
      title: "The body is not JSON",
      detail: error instanceof Error ? error.message : String(error),
    });
  }
  const parsed = hypothesis.safeParse(body);
  if (!parsed.success)
    return problem(context, {
      status: 400,
      code: "body_invalid",
      title: "The body is not a hypothesis",
      detail:
        "expected {usedRatio?, smoothedForecastRatio?, upperForecastRatio?}, each a share of the budget",
      more: { errors: describeIssues(parsed.error, hypothesis, body, "body") },
    });
  const { measured, forecast } = scaler.status();
  if (!measured)
    return problem(context, {
      status: 503,
      code: "no_measurement",
      title: "Memory has not been measured yet",
      detail: "try again in a second",
      retryAfterSeconds: 1,
    });
  const { usedRatio, smoothedForecastRatio, upperForecastRatio } = parsed.data;
  const usedBytes = usedRatio === undefined ? measured.usedBytes : usedRatio * measured.budgetBytes;
  const situation = scaler.situation({ ...measured, usedBytes });
  const supposed: ForecastFacts | null = forecast && {
    ...forecast,
    ...(smoothedForecastRatio === undefined ? {} : { state: "ready", smoothedRatio: smoothedForecastRatio }),
    ...(upperForecastRatio === undefined ? {} : { upperRatio: upperForecastRatio }),
  };
  const verdict = decide(situation, supposed, policy());
  const plugins: readonly PluginFacts[] = situation.plugins;
  return context.json({ verdict, situation: { usedBytes, budgetBytes: measured.budgetBytes, plugins } });
}
