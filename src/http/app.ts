/** The HTTP interface as one app: who may call, what is where, what an error looks like. */

import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { forecastRoutes } from "./forecast.ts";
import { type GuardOptions, hostGuard, requireToken, tokenOffLoopback } from "./guard.ts";
import { breakerRoutes, healthRoutes } from "./health.ts";
import { pluginRoutes } from "./plugins.ts";
import { problem } from "./problem.ts";
import { requestRoutes } from "./requests.ts";
import { resourceRoutes } from "./resources.ts";
import { scalingRoutes } from "./scaling.ts";
import { isoTime, type Services } from "./services.ts";

/** Everything that is served. `guard` says who may. */
export function createApp(services: Services, guard: GuardOptions): Hono {
  const app = new Hono();
  const administrators = requireToken(guard);
  app.use(hostGuard(guard));
  app.get("/healthz", (context) => context.json({ status: "ok" }));
  app.use(tokenOffLoopback(guard));
  app.use(
    bodyLimit({
      maxSize: services.config.http.maxBody,
      onError: (context) =>
        problem(context, {
          status: 413,
          code: "body_too_large",
          title: "The body is too large",
          detail: `expected at most ${services.config.http.maxBody} bytes (http.maxBody)`,
        }),
    }),
  );
  app.get("/readyz", (context) => {
    const because = services.notReadyBecause();
    if (because === null) return context.json({ status: "ready", since: isoTime(services.startedAtMs) });
    return problem(context, {
      status: 503,
      code: "not_ready",
      title: "Not ready yet",
      detail: because,
      retryAfterSeconds: 1,
    });
  });
  app.get("/metrics", async (context) =>
    context.body(await services.metrics.render(), 200, { "Content-Type": services.metrics.contentType }),
  );
  app.route("/api/v1/requests", requestRoutes(services));
  app.route("/api/v1/plugins", pluginRoutes(services, administrators));
  app.route("/api/v1/resources", resourceRoutes(services));
  app.route("/api/v1/forecast", forecastRoutes(services));
  app.route("/api/v1/scaling", scalingRoutes(services, administrators));
  app.route("/api/v1/health", healthRoutes(services));
  app.route("/api/v1/breakers", breakerRoutes(services));
  app.notFound((context) =>
    problem(context, {
      status: 404,
      code: "path_unknown",
      title: "There is nothing at this path",
      detail: `${context.req.method} ${context.req.path}: see the README for what there is`,
    }),
  );
  app.onError((error, context) => {
    services.log.error("http.failed", { method: context.req.method, path: context.req.path, error });
    return problem(context, {
      status: 500,
      code: "internal",
      title: "The conductor failed to answer",
      detail: "the log has the reason under http.failed",
    });
  });
  return app;
}
