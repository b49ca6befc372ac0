/** The HTTP interface as one app: who may call, what is where, what an error looks like. */

import { type Context, Hono } from "hono";
import { StorageError } from "../storage/errors.ts";
import { boundedBody } from "./body.ts";
import { breakerRoutes } from "./breakers.ts";
import { conversationRoutes } from "./conversations.ts";
import { deadLetterRoutes } from "./dead-letters.ts";
import { whileEnding } from "./ending.ts";
import { eventRoutes } from "./events.ts";
import { forecastRoutes } from "./forecast.ts";
import { type GuardOptions, hostGuard, requireToken, tokenOffLoopback } from "./guard.ts";
import { healthRoutes } from "./health.ts";
import { integrationRoutes } from "./integrations.ts";
import { allowedMethods } from "./methods.ts";
import { modelRoutes } from "./models.ts";
import { openaiErrors } from "./openai/errors.ts";
import { openaiRoutes } from "./openai/routes.ts";
import { pluginLogRoutes } from "./plugin-logs.ts";
import { pluginRoutes } from "./plugins.ts";
import { problem } from "./problem.ts";
import { requestRoutes } from "./requests.ts";
import { resourceRoutes } from "./resources.ts";
import { scalingRoutes } from "./scaling.ts";
import { isoTime, type Services } from "./services.ts";
import { webhookRoutes } from "./webhooks.ts";

const observing =
  "scaler.mode is observe: conductor records what it would do, and sheds and restores nothing";

/** Everything that is served. `guard` says who may. */
export function createApp(services: Services, guard: GuardOptions): Hono {
  const app = new Hono();
  const administrators = requireToken(guard);
  app.use("/v1/*", openaiErrors);
  app.use(whileEnding(services.router));
  app.use(hostGuard(guard));
  app.get("/healthz", (context) => context.json({ status: "ok" }));
  const offLoopback = tokenOffLoopback(guard);
  if (offLoopback) app.use(offLoopback);
  app.use(boundedBody(services.config.http.maxBody, services.clock));
  app.get("/readyz", (context) => {
    const because = services.notReadyBecause();
    if (because === null)
      return context.json({
        status: "ready",
        since: isoTime(services.startedAtMs),
        ...(services.scaler.status().mode === "observe" ? { detail: observing } : {}),
      });
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
  app.route("/api/v1/dead-letters", deadLetterRoutes(services, administrators));
  app.route("/api/v1/plugins", pluginRoutes(services, administrators));
  app.route("/api/v1/plugins", pluginLogRoutes(services));
  app.route("/api/v1/resources", resourceRoutes(services));
  app.route("/api/v1/integrations", integrationRoutes(services));
  app.route("/api/v1/forecast", forecastRoutes(services));
  app.route("/api/v1/scaling", scalingRoutes(services, administrators));
  app.route("/api/v1/health", healthRoutes(services));
  app.route("/api/v1/breakers", breakerRoutes(services, administrators));
  app.route("/api/v1/events", eventRoutes(services));
  app.route("/api/v1/webhooks", webhookRoutes(services, administrators));
  app.route("/api/v1/models", modelRoutes(services, administrators));
  app.route("/api/v1/conversations", conversationRoutes(services, administrators));
  app.route("/v1", openaiRoutes(services));
  app.notFound(nothingThere(app));
  app.onError((error, context) => failed(services, error, context));
  return app;
}

/** 405 where the path takes another method, else 404. */
function nothingThere(app: Hono) {
  const allowed = allowedMethods(app);
  return (context: Context) => {
    const { method, path } = context.req;
    const methods = allowed(path);
    if (methods === null)
      return problem(context, {
        status: 404,
        code: "path_unknown",
        title: "There is nothing at this path",
        detail: `${method} ${path.slice(0, 200)}: see the README for what there is`,
      });
    context.header("Allow", methods);
    return problem(context, {
      status: 405,
      code: "method_not_allowed",
      title: "The path does not take this method",
      detail: `${method} ${path.slice(0, 200)}: it takes ${methods}`,
    });
  };
}

function failed({ log }: Services, error: Error, context: Context) {
  log.error("http.failed", { method: context.req.method, path: context.req.path, error });
  if (error instanceof StorageError)
    return problem(context, {
      status: 503,
      code: "storage_failed",
      title: "The database cannot be read",
      detail: error.message,
      retryAfterSeconds: 5,
    });
  return problem(context, {
    status: 500,
    code: "internal",
    title: "The conductor failed to answer",
    detail: "the log has the reason under http.failed",
  });
}
