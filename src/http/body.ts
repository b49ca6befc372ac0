/** Request bodies: bounded in size, time and depth, then checked by a schema. */

import type { Context, MiddlewareHandler, Next } from "hono";
import * as z from "zod";
import type { Clock } from "../clock.ts";
import { describeIssues } from "../config/issues.ts";
import { mostLevels, nestedWithin } from "./nesting.ts";
import { problem } from "./problem.ts";

/** What was read of a body of unknown length; its reader finds it here. */
const readAhead = new WeakMap<Request, Uint8Array<ArrayBuffer>>();

/** A body must have come within this time, however it trickles. */
export const bodyTimeoutMs = 15_000;
/** Errors, and unknown keys, that are told one by one. */
const mostErrors = 20;
const mostKeyCharacters = 64;

/** Everything that is JSON, as it is; what JSON.parse yielded need not be walked again by a schema. */
export const anyJson = z.unknown().refine((value) => value !== undefined, "expected any JSON");

/** Refuses bodies over `maxBytes`: by their announced length, else by reading them no further than that. */
export function boundedBody(maxBytes: number, clock: Clock): MiddlewareHandler {
  const tooLarge = (context: Context) =>
    last(context, {
      status: 413,
      code: "body_too_large",
      title: "The body is too large",
      detail: `expected at most ${maxBytes} bytes (http.maxBody)`,
    });
  return async (context: Context, next: Next) => {
    const { raw } = context.req;
    const length = raw.headers.get("content-length");
    if (length !== null && Number(length) > maxBytes) return tooLarge(context);
    if (length !== null || raw.body === null) return await next();
    const bytes = await inTime(clock, readAtMost(raw.body, maxBytes));
    if (bytes === "late") return tooSlow(context);
    if (bytes === "too-large") return tooLarge(context);
    if (bytes !== "broken") readAhead.set(raw, bytes);
    return await next();
  };
}

/** The last answer on its connection: what the client still sends is not read as another request. */
function last(context: Context, what: Parameters<typeof problem>[1]): Response {
  context.header("Connection", "close");
  return problem(context, what);
}

const tooSlow = (context: Context): Response =>
  last(context, {
    status: 408,
    code: "body_too_slow",
    title: "The body did not come in time",
    detail: `expected all of it within ${bodyTimeoutMs / 1_000} s`,
  });

async function readAtMost(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | "too-large" | "broken"> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > maxBytes) return "too-large";
      chunks.push(chunk);
    }
  } catch {
    // The client went away, and nobody is left to be told.
    return "broken";
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function inTime<T>(clock: Clock, work: Promise<T>): Promise<T | "late"> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(bodyTimeoutMs, () => resolve("late"));
    const done = (value: T) => {
      timer.cancel();
      resolve(value);
    };
    work.then(done, reject);
  });
}

/** How a body is read; `name` is what it should be, as in "The body is not a request". */
export interface BodyShape<T> {
  schema: z.ZodType<T>;
  name: string;
  /** Such as `{platform, type?, payload}`. */
  expected: string;
  /** What an empty body stands for; without it, it is malformed. */
  empty?: unknown;
}

export type CheckedBody<T> = { ok: true; value: T } | { ok: false; response: Response };

/** Whether the value of a header says JSON, parameters such as charset aside. */
const isJson = (contentType: string | undefined): boolean =>
  /^application\/(json|[\w.-]+\+json)\s*(;|$)/i.test(contentType ?? "");

/** The body as its schema reads it, or the problem that it is. */
export async function checkedBody<T>(
  context: Context,
  clock: Clock,
  shape: BodyShape<T>,
): Promise<CheckedBody<T>> {
  const refused = (response: Response): CheckedBody<T> => ({ ok: false, response });
  const text = await textOf(context, clock);
  if (text === null) return refused(tooSlow(context));
  const declared = context.req.header("content-type");
  const body = text === "" && "empty" in shape ? shape.empty : undefined;
  if (body === undefined && !isJson(declared)) return refused(notJson(context));
  let value: unknown = body;
  try {
    if (body === undefined) value = JSON.parse(text);
  } catch (error) {
    return refused(malformed(context, error instanceof Error ? error.message : String(error)));
  }
  if (!nestedWithin(value, mostLevels)) return refused(tooDeep(context));
  const parsed = shape.schema.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  return refused(
    problem(context, {
      status: 400,
      code: "body_invalid",
      title: `The body is not ${shape.name}`,
      detail: `expected ${shape.expected}`,
      more: { errors: describeIssues(firstIssues(parsed.error), shape.schema, value, "body") },
    }),
  );
}

/** Null when it did not come in time; empty when the client broke it off. */
async function textOf(context: Context, clock: Clock): Promise<string | null> {
  const { raw } = context.req;
  const ahead = readAhead.get(raw);
  if (ahead) return new TextDecoder().decode(ahead);
  // A body that was broken off has nobody left to be told so.
  const text = await inTime(
    clock,
    raw.text().catch(() => ""),
  );
  return text === "late" ? null : text;
}

/** The first errors, each with the first unknown keys: a body of 1 MiB may have 100,000 of them. */
function firstIssues(error: z.ZodError): z.ZodError {
  const issues = error.issues.slice(0, mostErrors).map((issue) => {
    if (issue.code !== "unrecognized_keys") return issue;
    const keys = issue.keys.slice(0, mostErrors).map((key) => key.slice(0, mostKeyCharacters));
    return { ...issue, keys };
  });
  return new z.ZodError(issues);
}

const notJson = (context: Context) =>
  problem(context, {
    status: 415,
    code: "not_json",
    title: "The body must be JSON",
    detail: "send it with Content-Type: application/json",
  });

const malformed = (context: Context, detail: string) =>
  problem(context, {
    status: 400,
    code: "body_malformed",
    title: "The body is not JSON",
    detail: detail.slice(0, 200),
  });

const tooDeep = (context: Context) =>
  problem(context, {
    status: 400,
    code: "body_too_deep",
    title: "The body is nested too deep",
    detail: `expected at most ${mostLevels} levels of lists and objects`,
  });
