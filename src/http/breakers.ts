/** `/api/v1/breakers`: the circuit breakers, what moved them, and moving them by hand. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import type { BreakerSnapshot, Breakers } from "../health/breakers.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { problem } from "./problem.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

const mostReasonCharacters = 300;
/** Most platforms told to who asked for another one. */
const mostKnown = 100;

const orderSchema = z.strictObject({
  reason: z
    .string()
    .trim()
    .min(1, "expected why, for who reads it later")
    .max(mostReasonCharacters, `expected at most ${mostReasonCharacters} characters`),
});

const orderShape: BodyShape<z.output<typeof orderSchema>> = {
  schema: orderSchema,
  name: "an order to a circuit breaker",
  expected: "{reason}",
};

const orders: Record<string, (breakers: Breakers, platform: string, reason: string) => void> = {
  open: (breakers, platform, reason) => breakers.open(platform, reason),
  close: (breakers, platform, reason) => breakers.close(platform, reason),
  isolate: (breakers, platform, reason) => breakers.isolate(platform, reason),
};

/** The list; one with its latest moves, the newest first; and for administrators its orders. */
export function breakerRoutes(services: Services, administrators: MiddlewareHandler): Hono {
  const { breakers, clock } = services;
  const app = new Hono();
  app.get("/", (context) => context.json({ breakers: breakers.list().map(breakerView) }));
  app.get("/:platform", (context) => answer(services, context));
  for (const [action, carryOut] of Object.entries(orders))
    app.post(`/:platform/${action}`, administrators, async (context) => {
      const platform = context.req.param("platform") ?? "";
      if (!breakers.view(platform)) return unknown(services, context);
      const body = await checkedBody(context, clock, orderShape);
      if (!body.ok) return body.response;
      // It may have gone while the body came: an order makes no breaker of a platform that nobody serves.
      const now = breakers.view(platform);
      if (now?.isolated && action === "open") return isolated(context, platform);
      if (now) carryOut(breakers, platform, body.value.reason);
      return answer(services, context);
    });
  return app;
}

/** A breaker as every answer writes it. */
export function breakerView({ sinceMs, nextProbeMs, ...rest }: BreakerSnapshot) {
  return { ...rest, sinceAt: isoTime(sinceMs), nextProbeAt: isoTimeOrNull(nextProbeMs) };
}

function answer(services: Services, context: Context) {
  const platform = context.req.param("platform") ?? "";
  const breaker = services.breakers.view(platform);
  if (!breaker) return unknown(services, context);
  const moves = services.storage.breakers.moves(platform);
  return context.json({
    ...breakerView(breaker),
    moves: moves.map(({ atMs, ...move }) => ({ at: isoTime(atMs), ...move })),
  });
}

const isolated = (context: Context, platform: string) =>
  problem(context, {
    status: 409,
    code: "breaker_isolated",
    title: "The circuit breaker is isolated",
    detail: `the breaker of ${platform} stays open until it is closed by hand: close it first`,
  });

function unknown({ breakers }: Services, context: Context) {
  const known = breakers
    .list()
    .slice(0, mostKnown)
    .map(({ platform }) => platform);
  return problem(context, {
    status: 404,
    code: "platform_unknown",
    title: "There is no such platform",
    detail: `known: ${known.join(", ") || "none"}`,
    more: { known },
  });
}
