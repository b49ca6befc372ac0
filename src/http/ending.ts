/** What the server does while conductor ends: it answers what is under way, shows how far it is, and takes nothing new. */

import type { MiddlewareHandler } from "hono";
import type { Router } from "../routing/router.ts";
import { problem } from "./problem.ts";

const reading: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
/** The router refuses these itself, and a duplicate still gets the answer of the first. */
const requestsPath = "/api/v1/requests";

/** From the close of the router on each answer closes its connection, and what would change something gets 503. */
export function whileEnding(router: Pick<Router, "closed">): MiddlewareHandler {
  return async (context, next) => {
    const { method, path } = context.req;
    if (!router.closed || reading.has(method) || path === requestsPath) await next();
    else
      context.res = problem(context, {
        status: 503,
        code: "shutting_down",
        title: "The conductor is shutting down",
        detail: "Nothing is changed while the last requests finish; try again when it has started anew.",
        retryAfterSeconds: 5,
      });
    // A client that kept the connection would find it cut.
    if (router.closed) context.header("Connection", "close");
  };
}
