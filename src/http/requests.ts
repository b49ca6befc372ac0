/** `POST /api/v1/requests`: one request to a platform, answered at once or in chunks. */

import { type Context, Hono } from "hono";
import * as z from "zod";
import type { Clock } from "../clock.ts";
import type { Outcome, Refused, RouteRequest } from "../routing/outcome.ts";
import type { Json } from "../sdk/plugin.ts";
import { anyJson, type BodyShape, checkedBody } from "./body.ts";
import { type Problem, problem, problemDocument } from "./problem.ts";
import type { Services } from "./services.ts";
import { streamAnswer } from "./stream-answer.ts";

const schema = z.strictObject({
  platform: z.string().min(1).max(64),
  type: z.string().min(1).max(128).optional(),
  payload: anyJson,
  /** Whole milliseconds that the client waits at most. */
  deadlineMs: z.int().min(1).max(600_000).optional(),
  /** False: an answer in chunks is wanted as one list. */
  stream: z.boolean().optional(),
  /** It may be sent to the plugin again where the first time failed. */
  idempotencyKey: z.string().min(1).max(128).optional(),
});

const shape: BodyShape<z.output<typeof schema>> = {
  schema,
  name: "a request",
  expected: "{platform, type?, payload, deadlineMs?, stream?, idempotencyKey?}",
};

export function requestRoutes({ router, clock }: Services): Hono {
  const app = new Hono();
  app.post("/", async (context) => {
    const body = await checkedBody(context, clock, shape);
    if (!body.ok) return body.response;
    const { platform, type, payload, deadlineMs, stream, idempotencyKey } = body.value;
    const outcome = await router.route({
      platform,
      payload: payload as Json,
      ...(type === undefined ? {} : { type }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...namedHeaders(context.req.raw.headers, router.ruleHeaders),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      streams: stream !== false,
      signal: context.req.raw.signal,
    });
    return answer(context, clock, outcome);
  });
  return app;
}

/** The headers that routing rules look at; all others stay here. */
function namedHeaders(headers: Headers, names: readonly string[]): Pick<RouteRequest, "headers"> {
  if (names.length === 0) return {};
  const found = names.flatMap((name) => {
    const value = headers.get(name);
    return value === null ? [] : [[name, value]];
  });
  return { headers: Object.fromEntries(found) };
}

function answer(context: Context, clock: Clock, outcome: Outcome): Response {
  if (outcome.kind === "refused") return problem(context, refusal(outcome));
  const { kind: _, stream, ...body } = outcome;
  if (!stream) return context.json(body);
  return streamAnswer(context, clock, outcome, stream, (refused) =>
    problemDocument(context, refusal(refused)),
  );
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
