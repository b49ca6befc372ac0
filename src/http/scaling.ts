/** `/api/v1/scaling/…`: what the scaler sees, what it decided, and what it would decide. */

import { Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import type { Json } from "../sdk/plugin.ts";
import type { DecisionRecord } from "../storage/decision-row.ts";
import { evaluate } from "./evaluate.ts";
import { forecastView } from "./forecast-view.ts";
import { problem } from "./problem.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";
import { promotedView, shadowRoutes } from "./shadows.ts";

const listQuery = z.strictObject({
  limit: wholeNumber(1, 500).optional(),
  before: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
  plugin: z.string().min(1).max(64).optional(),
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
  app.route("/shadows", shadowRoutes(services, administrators));
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

function statusView({ scaler, shadows, policy: inForce, clock }: Services) {
  const policy = inForce();
  const { mode, wish, measured, forecast, verdict, shedding, acting, lastChangeMs } = scaler.status();
  return {
    at: isoTime(clock.nowMs()),
    mode,
    observed: wish && { decisionId: wish.decisionId, sinceAt: isoTime(wish.sinceMs) },
    policy: policy.kind ?? "mission",
    promoted: promotedView(shadows.desk.promoted),
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
  const observed = observedOf(record.outcome);
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
    outcome: observed ? "observed" : outcomeText(actions.length, outcomes),
    ...(observed?.note === undefined ? {} : { note: observed.note }),
    outcomeAt: isoTimeOrNull(record.outcomeAtMs),
  };
}

/** The outcome of a decision that was not to be carried out: once its wish is over, how that ended. Else null. */
function observedOf(outcome: Json): { note?: Json } | null {
  if (typeof outcome !== "object" || outcome === null || Array.isArray(outcome)) return null;
  return outcome.observed === true ? outcome : null;
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
