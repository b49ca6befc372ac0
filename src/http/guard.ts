/** Who may call: exact Host and Origin (against DNS rebinding), and the bearer token. */

import { isIP } from "node:net";
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

/** Where every address is listened on, each of them is ours; an address, unlike a name, cannot be rebound. */
const everyAddress = new Set(["0.0.0.0", "::", "[::]"]);
const isAddress = (name: string): boolean => isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0;

/** Answers whether a Host header names this server. What every client sends is found without taking it apart. */
function hostCheck(options: GuardOptions): (header: string) => boolean {
  const names = new Set([...loopbackNames, bracketed(options.host.toLowerCase())]);
  const further = new Set(options.allowedHosts.map((allowed) => allowed.toLowerCase()));
  const takesEveryAddress = everyAddress.has(options.host);
  let usual: ReadonlySet<string> | null = null;
  return (header) => {
    // The port is known only once the server listens.
    usual ??= new Set([...names].map((name) => `${name}:${options.port()}`));
    if (usual.has(header)) return true;
    const whole = header.toLowerCase();
    const [, name = "", port = "80"] = /^(.*?)(?::(\d+))?$/.exec(whole) ?? [];
    if (further.has(name) || further.has(whole)) return true;
    if (port !== String(options.port())) return false;
    return names.has(name) || (takesEveryAddress && isAddress(name));
  };
}

/** Refuses requests that name another host, or that a page of another origin sent. */
export function hostGuard(options: GuardOptions): MiddlewareHandler {
  const isOurs = hostCheck(options);
  return async (context: Context, next: Next) => {
    const { headers } = context.req.raw;
    const host = headers.get("host") ?? "";
    if (!isOurs(host))
      return problem(context, {
        status: 421,
        code: "host_unknown",
        title: "This server does not answer under that name",
        detail:
          "address it as it is configured (http.host and http.port), or add the name to http.allowedHosts",
      });
    const origin = headers.get("origin");
    if (origin !== null && origin !== `http://${host}` && origin !== `https://${host}`)
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

/** Off loopback everything needs the token; null on it, where reading and requests need none. */
export const tokenOffLoopback = (options: GuardOptions): MiddlewareHandler | null =>
  isLoopback(options.host) ? null : requireToken(options);
