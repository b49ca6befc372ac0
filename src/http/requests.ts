/** `POST /api/v1/requests`: one request to a platform, answered at once or in chunks, or kept to be answered later. */

import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Clock } from "../clock.ts";
import type { TakenOnce } from "../routing/idempotency.ts";
import type { Refused } from "../routing/outcome.ts";
import type { Parked } from "../routing/parking.ts";
import type { Json } from "../sdk/plugin.ts";
import { anyJson, type BodyShape, checkedBody } from "./body.ts";
import { type Problem, problem, problemDocument } from "./problem.ts";
import { pacedRefusals } from "./refusal-pace.ts";
import { idempotencyKey, keptHeaders } from "./request-headers.ts";
import { isoTime, type Services } from "./services.ts";
import { streamAnswer } from "./stream-answer.ts";

const schema = z.strictObject({
  platform: z.string().min(1).max(64),
  type: z.string().min(1).max(128).optional(),
  payload: anyJson,
  /** Whole milliseconds that the client waits at most. */
  deadlineMs: z.int().min(1).max(600_000).optional(),
  /** False: an answer in chunks is wanted as one list. */
  stream: z.boolean().optional(),
  /** park: what cannot be answered is kept and sent again later; default: as configured for the platform. */
  onFailure: z.enum(["park", "refuse"]).optional(),
  /** A duplicate gets the answer of the first one; also as the header Idempotency-Key. */
  idempotencyKey: idempotencyKey.optional(),
  /** Carrying it out twice does no harm; default: true with an idempotency key. */
  idempotent: z.boolean().optional(),
});

const shape: BodyShape<z.output<typeof schema>> = {
  schema,
  name: "a request",
  expected: "{platform, type?, payload, deadlineMs?, stream?, onFailure?, idempotencyKey?, idempotent?}",
};

/** The request as it came, with the key from whichever place it stands in; a text is why that is no request. */
function keyOf(context: Context, { idempotencyKey: inBody, stream }: z.output<typeof schema>) {
  const header = context.req.header("idempotency-key");
  const parsed = header === undefined ? undefined : idempotencyKey.safeParse(header);
  if (parsed && !parsed.success) return { wrong: `Idempotency-Key: ${parsed.error.issues[0]?.message}` };
  if (parsed && inBody !== undefined && parsed.data !== inBody)
    return {
      wrong: "idempotencyKey: expected the same key as in the header Idempotency-Key, or only one of them",
    };
  const key = parsed?.data ?? inBody;
  if (key !== undefined && stream === true)
    return {
      wrong:
        "stream: expected not true with an idempotency key, since an answer in chunks cannot be given twice",
    };
  return { key };
}

export function requestRoutes({ intake, router, clock }: Services): Hono {
  const app = new Hono();
  app.post("/", pacedRefusals(clock), async (context) => {
    const body = await checkedBody(context, clock, shape);
    if (!body.ok) return body.response;
    const { platform, type, payload, deadlineMs, stream, onFailure, idempotent } = body.value;
    const { key, wrong } = keyOf(context, body.value);
    if (wrong !== undefined)
      return problem(context, {
        status: 400,
        code: "body_invalid",
        title: `The body is not ${shape.name}`,
        detail: wrong,
      });
    const taken = await intake.take({
      platform,
      payload: payload as Json,
      ...(type === undefined ? {} : { type }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(onFailure === undefined ? {} : { onFailure }),
      ...(idempotent === undefined ? {} : { idempotent }),
      ...(key === undefined ? {} : { idempotencyKey: key }),
      headers: {
        ...keptHeaders(context.req.raw.headers),
        ...namedHeaders(context.req.raw.headers, router.ruleHeaders),
      },
      streams: stream !== false,
      signal: context.req.raw.signal,
    });
    return answer(context, clock, taken);
  });
  return app;
}

/** The headers that routing rules look at; all others stay here. */
function namedHeaders(headers: Headers, names: readonly string[]): Readonly<Record<string, string>> {
  if (names.length === 0) return {};
  const found = names.flatMap((name) => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value]];
  });
  return Object.fromEntries(found);
}

function answer(context: Context, clock: Clock, { outcome, repeated }: TakenOnce): Response {
  if (repeated) context.header("Idempotency-Replayed", "true");
  if (outcome.kind === "parked") return parkedAnswer(context, outcome);
  if (outcome.kind === "refused") return problem(context, refusal(outcome));
  const { kind: _, stream, ...body } = outcome;
  if (!stream) return context.json(body);
  return streamAnswer(context, clock, outcome, stream, (refused) =>
    problemDocument(context, refusal(refused)),
  );
}

/** 202: not answered, but kept; `Location` is where to look what becomes of it. */
function parkedAnswer(context: Context, parked: Parked): Response {
  const { requestId, platform, deadLetterId, letterKind, reason, expiresAtMs, durable, attempts } = parked;
  const location = `/api/v1/dead-letters/${deadLetterId}`;
  context.header("Location", location);
  const deadLetter = { id: deadLetterId, kind: letterKind, expiresAt: isoTime(expiresAtMs), durable };
  return context.json({ requestId, platform, parked: true, reason, deadLetter, location, attempts }, 202);
}

function refusal(outcome: Refused): Problem {
  const { status, code, title, detail, retryAfterSeconds, blockedBy, known } = outcome;
  const { requestId, platform, rule, attempts } = outcome;
  return {
    status,
    code: code.replaceAll("-", "_"),
    title,
    detail,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    more: {
      requestId,
      platform,
      ...(rule === undefined ? {} : { rule }),
      attempts,
      ...(blockedBy ? { blocked_by: blockedBy } : {}),
      ...(known ? { known } : {}),
    },
  };
}
