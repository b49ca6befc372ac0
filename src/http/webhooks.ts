/** `/api/v1/webhooks`: where events are posted to, how that goes, and what could not be delivered yet. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import type { LetterChange, WebhookLetter } from "../storage/webhook-letters.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { problem } from "./problem.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

const usualLimit = 100;
const listQuery = z.strictObject({ limit: wholeNumber(1, 1_000).optional() });

const id = z.int().min(1);
const whichSchema = z.union([
  z.strictObject({ all: z.literal(true) }),
  z.strictObject({ ids: z.array(id).min(1).max(1_000) }),
]);

const which: BodyShape<z.output<typeof whichSchema>> = {
  schema: whichSchema,
  name: "a choice of undelivered events",
  expected: "{all: true}, {ids: [ID, …]} with 1 to 1,000 of them, or no body for all",
  empty: { all: true },
};

export function webhookRoutes(services: Services, administrators: MiddlewareHandler): Hono {
  const { clock, storage, webhooks } = services;
  const app = new Hono();
  app.get("/", (context) => list(context, services));
  app.post("/dead-letters/redrive", administrators, async (context) => {
    const body = await checkedBody(context, clock, which);
    if (!body.ok) return body.response;
    const result = webhooks.redrive("ids" in body.value ? body.value.ids : null);
    return result.problem === null
      ? context.json({ released: result.changed }, 202)
      : refused(context, result.problem);
  });
  app.delete("/dead-letters/:id", administrators, (context) => {
    const number = context.req.param("id");
    const letter = /^\d{1,15}$/.test(number) ? storage.webhookLetters.byId(Number(number)) : null;
    if (letter === null) return unknown(context);
    const result = storage.webhookLetters.remove(letter.id);
    if (result.problem !== null) return refused(context, result.problem);
    return result.changed === 0 ? unknown(context) : context.json(letterView(letter));
  });
  return app;
}

function list(context: Context, { storage, webhooks }: Services) {
  const query = checkedQuery(context, listQuery);
  if (!query.ok) return query.response;
  const letters = storage.webhookLetters;
  return context.json({
    webhooks: webhooks.status().map(({ lastDeliveredMs, lastFailure, ...rest }) => ({
      ...rest,
      lastDeliveredAt: isoTimeOrNull(lastDeliveredMs),
      lastFailure: lastFailure && { at: isoTime(lastFailure.atMs), reason: lastFailure.reason },
    })),
    undelivered: letters.list(query.value.limit ?? usualLimit).map(letterView),
    kept: { ...letters.held(), maxCount: letters.limits.maxCount, maxBytes: letters.limits.maxBytes },
    durable: letters.durable,
  });
}

/** waiting: it is delivered once the receiver takes something; poison: it failed too often, and a person decides. */
const letterView = ({ id, atMs, webhook, reason, attempts, body, ...redriven }: WebhookLetter) => ({
  id,
  at: isoTime(atMs),
  webhook,
  reason,
  attempts,
  state: redriven.poison ? "poison" : "waiting",
  redrives: redriven.redrives,
  lastError: redriven.lastError,
  event: JSON.parse(body) as unknown,
});

const unknown = (context: Context) =>
  problem(context, {
    status: 404,
    code: "webhook_letter_unknown",
    title: "There is no such undelivered event",
    detail: "see undelivered in /api/v1/webhooks for those that are kept",
  });

const refused = (context: Context, { message }: NonNullable<LetterChange["problem"]>) =>
  problem(context, {
    status: 503,
    code: "webhook_letter_storage",
    title: "The database takes no change",
    detail: message,
    retryAfterSeconds: 5,
  });
