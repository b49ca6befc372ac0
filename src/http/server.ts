/** Listens. */

import type { Hono } from "hono";

/** The address cannot be listened on; the message says what to do. */
export class ListenError extends Error {
  readonly code = "listen_failed";
}

export interface HttpServer {
  port: number;
  url: string;
  /** Takes no more connections and ends those that are idle; with `force` all of them. */
  stop(force: boolean): Promise<void>;
}

/** Seconds until an idle or slow connection is cut. */
const idleSeconds = 30;

/** Serves `app` on host and port (0: a free one). Throws ListenError. */
export function listen(app: Hono, host: string, port: number): HttpServer {
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      idleTimeout: idleSeconds,
      // The app bounds bodies, with a problem document; what it does not read the runtime throws away as it comes.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // Else an error would be answered with a page that shows our source.
      development: false,
      // Without development the runtime would share a port that another conductor listens on.
      reusePort: false,
      fetch: app.fetch,
      error: brokenRequest,
    });
    return {
      port: server.port ?? port,
      url: server.url.href,
      stop: (force) => server.stop(force),
    };
  } catch (error) {
    const code = (error as { code?: string }).code;
    const place = `${host}:${port}`;
    if (code === "EADDRINUSE")
      throw new ListenError(
        `${place} is in use; stop what listens there or set http.port (CONDUCTOR_HTTP_PORT)`,
      );
    if (code === "EACCES")
      throw new ListenError(`${place} may not be used by this user; set http.port to 1024 or more`);
    throw new ListenError(
      `cannot listen on ${place} (${code ?? (error instanceof Error ? error.message : error)}); check http.host and http.port`,
    );
  }
}

/** For what fails before the app sees it. */
function brokenRequest(): Response {
  const body = {
    type: "about:blank",
    title: "The request cannot be read",
    status: 400,
    code: "request_malformed",
    detail: "expected an HTTP request with a valid path and Host",
  };
  return new Response(JSON.stringify(body), {
    status: 400,
    headers: { "Content-Type": "application/problem+json" },
  });
}
