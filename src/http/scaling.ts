/** `/api/v1/scaling/…`: what the scaler sees, what it decided, and what it would decide. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import { ownOomScoreAdj } from "../plugins/oom-score.ts";
import { decide } from "../scaler/decide.ts";
import { shedLine } from "../scaler/latest-line.ts";
import type { ForecastFacts, PluginFacts, Policy, Situation } from "../scaler/situation.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { decisionView, isoTimesIn } from "./decision-view.ts";
import { preflightRoutes } from "./preflight.ts";
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
  app.get("/audit", (context) => context.json(auditView(services)));
  app.route("/preflight", preflightRoutes(services, administrators));
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

const forecastView = (forecast: ForecastFacts | null) =>
  forecast && { ...forecast, atMs: undefined, at: isoTime(forecast.atMs) };

function statusView({ scaler, policy: inForce, config, clock }: Services) {
  const policy = inForce();
  const { measured, forecast, verdict, shedding, acting, lastChangeMs } = scaler.status();
  const now = measured && scaler.situation(measured);
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
    shedLineRatio: now && shedLine(now, policy),
    shedding,
    stopping: acting,
    lastChangeAt: isoTimeOrNull(lastChangeMs),
    measured: measured && { ...measured, usedRatio: measured.usedBytes / measured.budgetBytes },
    forecast: forecastView(forecast),
    verdict,
    inputs: now && inputsNow(now, policy),
    plugins: isoTimesIn(now?.plugins ?? []),
    reservations: scaler.promised().map(({ kind, who, bytes, takenBytes, untilMs }) => ({
      kind,
      name: who,
      bytes,
      takenBytes,
      expiresAt: isoTime(clock.nowMs() + untilMs - clock.monotonicMs()),
    })),
  };
}

/** Everything that a decision would be made from now, in the shape of a decision's `inputs`. */
const inputsNow = ({ nowMs, ...inputs }: Situation, policy: Policy) =>
  isoTimesIn({ ...inputs, thresholds: policy });

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
