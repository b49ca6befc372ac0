/** `/api/v1/scaling/…`: what the scaler sees, what it decided, and what it would decide. */

import { Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import type { ModelFacts } from "../models/ladder-facts.ts";
import { ownOomScoreAdj } from "../plugins/oom-score.ts";
import { shedLine } from "../scaler/latest-line.ts";
import type { Policy, Situation } from "../scaler/situation.ts";
import { decisionView, isoTimesIn } from "./decision-view.ts";
import { evaluate } from "./evaluate.ts";
import { forecastView } from "./forecast-view.ts";
import { preflightRoutes } from "./preflight.ts";
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
  app.get("/audit", (context) => context.json(auditView(services)));
  app.route("/preflight", preflightRoutes(services, administrators));
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

/** The newest hash of the record's chain, to be noted elsewhere; `conductor audit verify --expect` takes it. */
function auditView({ storage, clock }: Services) {
  const { decisions } = storage;
  return {
    at: isoTime(clock.nowMs()),
    head: decisions.head,
    waiting: decisions.waiting,
    lost: decisions.lost,
  };
}

function statusView({ scaler, shadows, policy: inForce, clock, models }: Services) {
  const policy = inForce();
  const { mode, wish, measured, forecast, verdict, shedding, acting, lastChangeMs } = scaler.status();
  const now = measured && scaler.situation(measured);
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
    oomScoreAdj: ownOomScoreAdj(),
    shedLineRatio: now && shedLine(now, policy),
    shedding,
    stopping: acting,
    lastChangeAt: isoTimeOrNull(lastChangeMs),
    measured: measured && { ...measured, usedRatio: measured.usedBytes / measured.budgetBytes },
    forecast: forecastView(forecast),
    verdict,
    inputs: now && inputsNow(now, policy),
    plugins: isoTimesIn(now?.plugins ?? []),
    models: models?.manager.facts().map(modelHolding) ?? [],
    reservations: scaler.promised().map(({ kind, who, bytes, takenBytes, untilMs }) => ({
      kind,
      name: who,
      bytes,
      takenBytes,
      expiresAt: isoTime(clock.nowMs() + untilMs - clock.monotonicMs()),
    })),
  };
}

/** What a local model holds of the memory; all else of it is at /api/v1/models. */
const modelHolding = ({ name, state, heldBytes, loadedContextTokens, unusable }: ModelFacts) => ({
  name,
  state,
  footprintBytes: heldBytes,
  contextTokens: loadedContextTokens,
  unusableBecause: unusable ?? null,
});

/** Everything that a decision would be made from now, in the shape of a decision's `inputs`. */
const inputsNow = ({ nowMs, ...inputs }: Situation, policy: Policy) =>
  isoTimesIn({ ...inputs, thresholds: policy });
