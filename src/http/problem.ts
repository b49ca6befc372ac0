/** RFC 9457 problem documents: the one shape of every error answer. */

import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

export interface Problem {
  status: number;
  /** Stable, for programs: `plugin_unknown`. */
  code: string;
  /** The same for every occurrence of the code. */
  title: string;
  /** What happened this time, and what to do. */
  detail: string;
  retryAfterSeconds?: number;
  /** Further members, with units in their names. */
  more?: Readonly<Record<string, unknown>>;
}

const mostInstanceCharacters = 512;

/** The problem as a document. */
export function problemDocument(context: Context, { status, code, title, detail, more }: Problem) {
  return {
    type: "about:blank",
    title,
    status,
    code,
    detail,
    instance: context.req.path.slice(0, mostInstanceCharacters),
    ...more,
  };
}

/** The problem as a response of type application/problem+json. */
export function problem(context: Context, what: Problem) {
  const headers: Record<string, string> = { "Content-Type": "application/problem+json" };
  const { status, retryAfterSeconds } = what;
  if (retryAfterSeconds !== undefined)
    headers["Retry-After"] = String(Math.max(1, Math.ceil(retryAfterSeconds)));
  const body = JSON.stringify(problemDocument(context, what));
  return context.body(body, status as ContentfulStatusCode, headers);
}
