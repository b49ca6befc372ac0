/** Health of the platforms and of the process itself. */

import { Hono } from "hono";
import { breakerView } from "./breakers.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

/** `/api/v1/health`: every platform as last checked, with its circuit breaker. */
export function healthRoutes(services: Services): Hono {
  const app = new Hono();
  app.get("/", (context) => {
    const platforms = services.health.status().map(({ lastCheckMs, sinceMs, ...rest }) => ({
      ...rest,
      lastCheckAt: isoTimeOrNull(lastCheckMs),
      sinceAt: isoTime(sinceMs),
    }));
    const bad = platforms.filter(({ status }) => status === "failed" || status === "unhealthy");
    return context.json({
      status: bad.length ? "degraded" : "healthy",
      platforms,
      breakers: services.breakers.list().map(breakerView),
    });
  });
  return app;
}
