/** `/api/v1/scaling/shadows`: the policies that decide beside the one that acts, and which of them acts. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import type { Order, Ordered, Promoted } from "../scaler/promotion.ts";
import type { DifferenceRow } from "../storage/shadow-records.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { problem } from "./problem.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

/** Changes of the policy, and differences of each shadow, that are shown. */
const shownRows = 20;

const orderSchema = z.strictObject({
  who: z.string().trim().min(1).max(100).optional(),
  reason: z.string().trim().min(1).max(300).optional(),
});

const orderShape: BodyShape<z.output<typeof orderSchema>> = {
  schema: orderSchema,
  name: "an order about which policy acts",
  expected: "{who?: at most 100 characters, reason?: at most 300}, for who reads it later",
  empty: {},
};

/** The list, and for administrators promoting one and going back. */
export function shadowRoutes(services: Services, administrators: MiddlewareHandler): Hono {
  const { shadows, clock } = services;
  const app = new Hono();
  app.get("/", (context) => context.json(listView(services)));
  app.post("/rollback", administrators, async (context) => {
    const body = await checkedBody(context, clock, orderShape);
    if (!body.ok) return body.response;
    return answer(services, context, shadows.desk.rollback(orderOf(body.value)));
  });
  app.post("/:name/promote", administrators, async (context) => {
    const body = await checkedBody(context, clock, orderShape);
    if (!body.ok) return body.response;
    return answer(services, context, shadows.promote(context.req.param("name"), orderOf(body.value)));
  });
  return app;
}

const orderOf = ({ who, reason }: z.output<typeof orderSchema>): Order => ({
  by: "person",
  who: who ?? null,
  reason: reason ?? "no reason was given",
});

const refusalStatus: Record<Exclude<Ordered, { ok: true }>["code"], number> = {
  "acts-already": 409,
  "not-promoted": 409,
  failed: 409,
  "not-kept": 503,
};

function answer(services: Services, context: Context, ordered: Ordered | null) {
  if (ordered?.ok) return context.json(listView(services));
  if (ordered !== null)
    return problem(context, {
      status: refusalStatus[ordered.code],
      code: ordered.code.replaceAll("-", "_"),
      title: "The order was not carried out",
      detail: ordered.message,
    });
  const known = services.shadows.watched().map(({ name }) => name);
  return problem(context, {
    status: 404,
    code: "shadow_unknown",
    title: "There is no such shadow policy",
    detail: known.length > 0 ? `known: ${known.join(", ")}` : "none is configured (shadow: […])",
    more: { known },
  });
}

/** The shadow that acts in place of the configured policy, as every answer writes it; null: none. */
export const promotedView = (promoted: Promoted | null) =>
  promoted && {
    shadow: promoted.shadow,
    sinceAt: isoTime(promoted.sinceMs),
    by: promoted.by,
    who: promoted.who,
    reason: promoted.reason,
    probationUntilAt: isoTimeOrNull(promoted.probationUntilMs),
    overrides: "scaler",
  };

function listView({ shadows, storage }: Services) {
  const { desk } = shadows;
  const live = new Map(shadows.shadows.views().map((view) => [view.name, view]));
  return {
    acting: { policy: desk.acting, promoted: promotedView(desk.promoted), configured: desk.configured },
    shadows: shadows.watched().map(({ name, policy, sinceMs, settings }) => {
      const view = live.get(name);
      const judged = shadows.judged(name);
      return {
        name,
        acts: desk.promoted?.shadow === name,
        failed: view?.failed ?? false,
        promotion: settings.promotion,
        evidence: judged && { at: isoTime(judged.atMs), enough: judged.enough, because: judged.because },
        policy,
        sinceAt: isoTime(sinceMs),
        // Written once a minute.
        ...storage.shadows.totals(name, sinceMs),
        differencesByRule: storage.shadows.byRule(name, sinceMs),
        wouldHave: wouldHave(storage.shadows.byAction(name, sinceMs)),
        verdict: view?.verdict ?? null,
        differsSinceAt: isoTimeOrNull(view?.standing?.sinceMs ?? null),
        latest: storage.shadows.latest(name, shownRows).map(differenceView),
      };
    }),
    history: desk.history(shownRows).map(({ atMs, policy: _, oomKills: __, probationUntilMs, ...row }) => ({
      at: isoTime(atMs),
      ...row,
      probationUntilAt: isoTimeOrNull(probationUntilMs),
    })),
  };
}

/** `{shed: {voice: 3}, restore: {}}`: how often it would have, where the acting policy did otherwise. */
function wouldHave(counts: readonly { kind: string; plugin: string; count: number }[]) {
  const of = (wanted: string) =>
    Object.fromEntries(
      counts.flatMap(({ kind, plugin, count }) => (kind === wanted ? [[plugin, count]] : [])),
    );
  return { shed: of("shed"), restore: of("restore") };
}

const differenceView = ({ atMs, untilMs, actions, actingActions, shadow: _, ...row }: DifferenceRow) => ({
  at: isoTime(atMs),
  untilAt: isoTimeOrNull(untilMs),
  ...row,
  actions: JSON.parse(actions) as unknown,
  actingActions: JSON.parse(actingActions) as unknown,
});
