/** `POST /api/v1/requests`: one request to a platform. */

import { Hono } from "hono";
import * as z from "zod";
import type { Outcome } from "../routing/outcome.ts";
import type { Json } from "../sdk/plugin.ts";
import { anyJson, type BodyShape, checkedBody } from "./body.ts";
import { problem } from "./problem.ts";
import type { Services } from "./services.ts";

const schema = z.strictObject({
  platform: z.string().min(1).max(64),
  type: z.string().min(1).max(128).optional(),
  payload: anyJson,
  /** Whole milliseconds that the client waits at most. */
  deadlineMs: z.int().min(1).max(600_000).optional(),
});

const shape: BodyShape<z.output<typeof schema>> = {
  schema,
  name: "a request",
  expected: "{platform, type?, payload, deadlineMs?}",
};

export function requestRoutes({ router, clock }: Services): Hono {
  const app = new Hono();
  app.post("/", async (context) => {
    const body = await checkedBody(context, clock, shape);
    if (!body.ok) return body.response;
    const { platform, type, payload, deadlineMs } = body.value;
    const outcome = await router.route({
      platform,
      payload: payload as Json,
      ...(type === undefined ? {} : { type }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      signal: context.req.raw.signal,
    });
    return answer(context, outcome);
  });
  return app;
}

function answer(context: Parameters<typeof problem>[0], outcome: Outcome) {
  if (outcome.kind === "answered") {
    const { kind: _, ...body } = outcome;
    return context.json(body);
  }
  const { status, code, title, detail, retryAfterSeconds, blockedBy, known, requestId, platform, attempts } =
    outcome;
  return problem(context, {
    status,
    code: code.replaceAll("-", "_"),
    title,
    detail,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    more: {
      requestId,
      platform,
      attempts,
      ...(blockedBy ? { blocked_by: blockedBy } : {}),
      ...(known ? { known } : {}),
    },
  });
}
