/** Who may call: exact Host and Origin (against DNS rebinding), and the bearer token. */

import type { Context, MiddlewareHandler, Next } from "hono";
import { problem } from "./problem.ts";
import { carriesToken } from "./token.ts";

export interface GuardOptions {
  /** The address that the server listens on. */
  host: string;
  port: () => number;
  /** Further names under which it may be addressed. */
  allowedHosts: readonly string[];
  token: string;
}

const loopbackNames = ["127.0.0.1", "localhost", "[::1]"];

/** Whether `host` can only be reached from this machine. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

function hostAllowed(header: string, options: GuardOptions): boolean {
  const name = header.toLowerCase().replace(/:\d+$/, "");
  const port = /:(\d+)$/.exec(header)?.[1];
  if (
    options.allowedHosts.some((allowed) => allowed.toLowerCase() === name || allowed.toLowerCase() === header)
  )
    return true;
  const names = [...loopbackNames, bracketed(options.host.toLowerCase())];
  return names.includes(name) && (port ?? "80") === String(options.port());
}

/** Refuses requests that name another host, or that a page of another origin sent. */
export function hostGuard(options: GuardOptions): MiddlewareHandler {
  const own = (context: Context) => {
    const header = context.req.header("host") ?? "";
    return hostAllowed(header, options) ? header : null;
  };
  return async (context: Context, next: Next) => {
    const host = own(context);
    if (host === null)
      return problem(context, {
        status: 421,
        code: "host_unknown",
        title: "This server does not answer under that name",
        detail:
          "address it as it is configured (http.host and http.port), or add the name to http.allowedHosts",
      });
    const origin = context.req.header("origin");
    if (origin !== undefined && origin.replace(/^https?:\/\//, "") !== host)
      return problem(context, {
        status: 403,
        code: "origin_refused",
        title: "Pages of another origin may not call this server",
        detail: "call it from its own dashboard, or without a browser",
      });
    return await next();
  };
}

/** Lets requests through that carry the token. */
export function requireToken({ token }: GuardOptions): MiddlewareHandler {
  return async (context: Context, next: Next) => {
    if (carriesToken(context.req.header("authorization"), token)) return await next();
    context.header("WWW-Authenticate", "Bearer");
    return problem(context, {
      status: 401,
      code: "token_required",
      title: "This needs the administrator's token",
      detail:
        'send "Authorization: Bearer …" with the token that lies in the file "token" beside the database',
    });
  };
}

/** Off loopback everything needs the token; on it, reading and requests do not. */
export function tokenOffLoopback(options: GuardOptions): MiddlewareHandler {
  const guarded = requireToken(options);
  return isLoopback(options.host) ? async (_, next) => await next() : guarded;
}
