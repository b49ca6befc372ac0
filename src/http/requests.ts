/** `POST /api/v1/requests`: one request to a platform. */

import { Hono } from "hono";
import * as z from "zod";
import { describeIssues } from "../config/issues.ts";
import type { Outcome } from "../routing/outcome.ts";
import { problem } from "./problem.ts";
import type { Services } from "./services.ts";

const requestSchema = z.strictObject({
  platform: z.string().min(1).max(64),
  type: z.string().min(1).max(128).optional(),
  payload: z.json(),
  /** Whole milliseconds that the client waits at most. */
  deadlineMs: z.int().min(1).max(600_000).optional(),
});

/** Where the value of a header is JSON, parameters such as charset aside. */
const isJson = (contentType: string | undefined): boolean =>
  /^application\/(json|[\w.-]+\+json)\s*(;|$)/i.test(contentType ?? "");

export function requestRoutes({ router }: Services): Hono {
  const app = new Hono();
  app.post("/", async (context) => {
    if (!isJson(context.req.header("content-type")))
      return problem(context, {
        status: 415,
        code: "not_json",
        title: "The body must be JSON",
        detail: "send it with Content-Type: application/json",
      });
    let body: unknown;
    try {
      body = await context.req.json();
    } catch (error) {
      return problem(context, {
        status: 400,
        code: "body_malformed",
        title: "The body is not JSON",
        detail: error instanceof Error ? error.message : String(error),
      });
    }
    const parsed = requestSchema.safeParse(body);
    if (!parsed.success)
      return problem(context, {
        status: 400,
        code: "body_invalid",
        title: "The body is not a request",
        detail: "expected {platform, type?, payload, deadlineMs?}",
        more: { errors: describeIssues(parsed.error, requestSchema, body, "body") },
      });
    const { type, deadlineMs, ...rest } = parsed.data;
    const outcome = await router.route({
      ...rest,
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
    code,
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
