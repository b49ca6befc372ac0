/**
 * Errors under /v1 as clients of OpenAI read them: `{error: {message, type, param, code, …}}`. The rest of the house writes
 * problem documents; here each of them is put into that shape, whoever refused.
 */

import type { MiddlewareHandler } from "hono";

/** A problem document as far as it is used here; further members are told as they are. */
interface Told {
  type?: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  instance?: string;
  param?: string | null;
}

const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
};

/** The object that clients look for under `error`. */
export function openaiError({ type: _, title, status, code, detail, instance: __, param, ...more }: Told) {
  const type = types[status] ?? (status < 500 ? "invalid_request_error" : "server_error");
  return { message: `${title}: ${detail}`, type, param: param ?? null, code, ...more };
}

/** Puts the problem documents of whatever stands behind it into that shape; the status and the headers stay. */
export const openaiErrors: MiddlewareHandler = async (context, next) => {
  await next();
  const { res } = context;
  if (res.headers.get("content-type") !== "application/problem+json") return;
  const told = (await res.json()) as Told;
  const headers = new Headers(res.headers);
  headers.set("Content-Type", "application/json");
  headers.delete("Content-Length");
  // Else the old type would be kept.
  context.res = undefined;
  context.res = new Response(JSON.stringify({ error: openaiError(told) }), { status: res.status, headers });
};
