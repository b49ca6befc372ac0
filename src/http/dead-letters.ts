/** `/api/v1/dead-letters`: requests that were kept, what becomes of them, and the orders to send or discard them. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import type { ByHand } from "../routing/redrive.ts";
import type { DeadLetterFilter } from "../storage/dead-letter-filter.ts";
import {
  type DeadLetter,
  type DeadLetterSummary,
  deadLetterKinds,
  deadLetterStates,
} from "../storage/dead-letter-row.ts";
import type { ChangeResult } from "../storage/dead-letters.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { exportStream } from "./dead-letter-export.ts";
import { problem } from "./problem.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

const filterKeys = {
  platform: z.string().min(1).max(64).optional(),
  kind: z.enum(deadLetterKinds).optional(),
  state: z.enum(deadLetterStates).optional(),
  since: z.iso.datetime({ offset: true, error: "expected a time such as 2026-01-31T08:00:00Z" }).optional(),
};

const filterQuery = z.strictObject(filterKeys);
const listQuery = z.strictObject({
  ...filterKeys,
  limit: wholeNumber(1, 500).optional(),
  before: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
});

const whichSchema = z
  .strictObject({ ...filterKeys, all: z.literal(true).optional() })
  .refine((which) => Object.values(which).some((part) => part !== undefined), {
    message: "expected at least one of platform, kind, state, since, or all: true",
  });

const which: BodyShape<z.output<typeof whichSchema>> = {
  schema: whichSchema,
  name: "a choice of dead letters",
  expected: "{platform?, kind?, state?, since?} with at least one of them, or {all: true}",
};

type Written = z.output<typeof filterQuery>;

const filterOf = ({ platform, kind, state, since }: Written): DeadLetterFilter => ({
  platform,
  kind,
  state,
  sinceMs: since === undefined ? undefined : Date.parse(since),
});

export function deadLetterRoutes(services: Services, administrators: MiddlewareHandler): Hono {
  const { storage, clock, redriver } = services;
  const { deadLetterOrders, deadLetterQueries } = storage;
  const app = new Hono();
  app.get("/", (context) => list(context, services));
  app.get("/export", administrators, (context) => {
    const query = checkedQuery(context, filterQuery);
    if (!query.ok) return query.response;
    const body = exportStream(deadLetterQueries, filterOf(query.value), letterView);
    return new Response(body, {
      headers: { "Content-Type": "application/x-ndjson", "Cache-Control": "no-store" },
    });
  });
  app.get("/:id", (context) => {
    const letter = letterAt(context, services);
    return letter ? context.json(letterView(letter)) : unknown(context);
  });
  app.post("/:id/redrive", administrators, async (context) => {
    const id = idOf(context);
    if (id === null) return unknown(context);
    return redriven(context, services, id, await redriver.redrive(id));
  });
  app.post("/redrive", administrators, async (context) => {
    const body = await checkedBody(context, clock, which);
    if (!body.ok) return body.response;
    const result = await deadLetterOrders.release(filterOf(body.value), clock.nowMs());
    if (result.problem === null) redriver.lookEverywhere();
    return changed(context, result, "released", 202);
  });
  app.post("/discard", administrators, async (context) => {
    const body = await checkedBody(context, clock, which);
    if (!body.ok) return body.response;
    return changed(
      context,
      await deadLetterOrders.discard(filterOf(body.value), clock.nowMs()),
      "discarded",
      200,
    );
  });
  app.delete("/:id", administrators, (context) => discardOne(context, services));
  return app;
}

function list(context: Context, { storage }: Services) {
  const query = checkedQuery(context, listQuery);
  if (!query.ok) return query.response;
  const { limit, before, ...filter } = query.value;
  const { deadLetters, deadLetterQueries } = storage;
  const page = deadLetterQueries.list({ ...filterOf(filter), limit, beforeId: before });
  const { count, bytes, left } = deadLetters.held;
  const { held, ...counts } = deadLetterQueries.counts();
  return context.json({
    deadLetters: page.deadLetters.map(summaryView),
    counts,
    heldForAPerson: held,
    kept: { count, bytes, maxCount: deadLetters.limits.maxCount, maxBytes: deadLetters.limits.maxBytes },
    leftByBounds: left,
    durable: deadLetters.durable,
    next: page.nextBeforeId === null ? null : nextPage(query.value, page.nextBeforeId),
  });
}

/** The same list, from where this page ended. */
function nextPage(query: z.output<typeof listQuery>, before: number): string {
  const parameters = new URLSearchParams({ before: String(before) });
  for (const key of ["platform", "kind", "state", "since", "limit"] as const)
    if (query[key] !== undefined) parameters.set(key, String(query[key]));
  return `/api/v1/dead-letters?${parameters}`;
}

function discardOne(context: Context, services: Services) {
  const { deadLetters } = services.storage;
  const letter = letterAt(context, services);
  if (!letter) return unknown(context);
  const result = deadLetters.discard(letter.id, services.clock.nowMs());
  if (result.problem !== null) return changed(context, result, "discarded", 200);
  if (result.changed === 0)
    return problem(context, {
      status: 409,
      code: "dead_letter_not_open",
      title: "The dead letter is not open",
      detail: `it is ${letter.state}; only one that waits or is poison can be discarded`,
    });
  const after = deadLetters.byId(letter.id);
  return after ? context.json(letterView(after)) : unknown(context);
}

const refusedByHand: Record<Extract<ByHand, { done: false }>["code"], { status: number; title: string }> = {
  unknown: { status: 404, title: "There is no such dead letter" },
  "not-open": { status: 409, title: "The dead letter is not open" },
  expired: { status: 409, title: "The dead letter has expired" },
  "not-ready": { status: 503, title: "The plugin is not ready; the dead letter waits" },
  busy: { status: 429, title: "Too many redrives are asked for" },
  storage: { status: 503, title: "The database takes no change" },
};

/** What came of a redrive by hand: 200 whichever way it ended, since the order was carried out. */
function redriven(context: Context, { storage }: Services, id: number, result: ByHand) {
  if (!result.done) {
    const { status, title } = refusedByHand[result.code];
    return problem(context, {
      status,
      title,
      code: `dead_letter_${result.code.replaceAll("-", "_")}`,
      detail: result.reason,
      ...(status === 429 || status === 503 ? { retryAfterSeconds: 5 } : {}),
    });
  }
  const letter = storage.deadLetters.byId(id);
  const { outcome, reason } = result;
  return context.json({ outcome, reason, deadLetter: letter && letterView(letter) });
}

function changed(context: Context, result: ChangeResult, done: "released" | "discarded", status: 200 | 202) {
  if (result.problem === null) return context.json({ [done]: result.changed }, status);
  return problem(context, {
    status: 503,
    code: "dead_letter_storage",
    title: "The database takes no change",
    detail: result.problem.message,
    retryAfterSeconds: 5,
  });
}

function idOf(context: Context): number | null {
  const id = context.req.param("id") ?? "";
  return /^\d{1,15}$/.test(id) ? Number(id) : null;
}

function letterAt(context: Context, { storage }: Services): DeadLetter | null {
  const id = idOf(context);
  return id === null ? null : storage.deadLetters.byId(id);
}

const unknown = (context: Context) =>
  problem(context, {
    status: 404,
    code: "dead_letter_unknown",
    title: "There is no such dead letter",
    detail: "see /api/v1/dead-letters for those that are kept",
  });

/** A letter as lists show it: without payload, attempts and result. */
const summaryView = (letter: DeadLetterSummary) => ({
  id: letter.id,
  requestId: letter.requestId,
  platform: letter.platform,
  type: letter.type,
  kind: letter.kind,
  reason: letter.reason,
  state: letter.state,
  stateReason: letter.stateReason || null,
  heldForAPerson: letter.held,
  redrives: letter.redrives,
  parkedAt: isoTime(letter.parkedAtMs),
  expiresAt: isoTime(letter.expiresAtMs),
  nextAt: letter.state === "waiting" && !letter.held ? isoTime(letter.nextAtMs) : null,
  closedAt: isoTimeOrNull(letter.closedAtMs),
  idempotencyKey: letter.idempotencyKey,
  idempotent: letter.idempotent,
  bytes: letter.bytes,
});

const letterView = (letter: DeadLetter) => ({
  ...summaryView(letter),
  payload: letter.payload,
  headers: letter.headers,
  attempts: letter.attempts.map(({ atMs, ...attempt }) => ({ at: isoTime(atMs), ...attempt })),
  attemptsLeftOut: letter.attemptsLeftOut,
  result: letter.result,
});
