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
export function listen(app: Hono, host: string, port: number, maxBodyBytes: number): HttpServer {
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      idleTimeout: idleSeconds,
      // The app answers a large body with a problem document; this is the bound behind it.
      maxRequestBodySize: maxBodyBytes * 2,
      fetch: app.fetch,
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
