/** `/api/v1/plugins`: what runs, and by whose order. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import type { Refusal, Started, Stopped } from "../plugins/manager.ts";
import { mostInstances } from "../plugins/manifest-schema.ts";
import type { PluginView } from "../plugins/plugin-view.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { problem } from "./problem.ts";
import { isoTime, type Services } from "./services.ts";

const refusalStatus: Record<Refusal["code"], number> = {
  "unknown-plugin": 404,
  invalid: 409,
  shed: 409,
  disabled: 409,
  "start-failed": 502,
  "not-replaced": 502,
  "nothing-kept": 409,
};

export function pluginRoutes(services: Services, administrators: MiddlewareHandler): Hono {
  const { manager } = services;
  const app = new Hono();
  app.get("/", (context) =>
    context.json({ plugins: manager.list().map((view) => pluginView(services, view)) }),
  );
  app.get("/:name", (context) => answer(services, context, { ok: true }));
  const orders: Record<string, (name: string) => Promise<Started | Stopped>> = {
    enable: (name) => manager.enable(name, "enabled over HTTP"),
    disable: (name) => manager.disable(name),
    restart: (name) => manager.restart(name, "restarted over HTTP"),
    reload: (name) => manager.reload(name, "reloaded over HTTP"),
    rollback: (name) => manager.rollback(name, "rolled back over HTTP"),
  };
  for (const [action, carryOut] of Object.entries(orders))
    app.post(`/:name/${action}`, administrators, async (context) =>
      answer(services, context, await carryOut(context.req.param("name") ?? "")),
    );
  app.post("/:name/scale", administrators, async (context) => {
    const body = await checkedBody(context, services.clock, scaleShape);
    if (!body.ok) return body.response;
    return answer(services, context, await manager.scale(context.req.param("name"), body.value.instances));
  });
  return app;
}

const scaleSchema = z.strictObject({ instances: z.int().min(1).max(mostInstances) });

const scaleShape: BodyShape<z.output<typeof scaleSchema>> = {
  schema: scaleSchema,
  name: "a number of instances",
  expected: `{instances: 1 to ${mostInstances}}`,
};

/** The plugin as it is now, or why the order was refused. */
function answer(services: Services, context: Context, result: Started | Stopped) {
  const name = context.req.param("name") ?? "";
  const view = services.manager.view(name);
  if (result.ok && view) {
    const notes = "notes" in result && result.notes ? { notes: result.notes } : {};
    return context.json({ ...pluginView(services, view), ...notes });
  }
  const refusal: Refusal = result.ok
    ? { ok: false, code: "unknown-plugin", message: `${name}: no such plugin` }
    : result;
  return problem(context, {
    status: refusalStatus[refusal.code],
    code: refusal.code.replaceAll("-", "_"),
    title: refusal.code === "unknown-plugin" ? "There is no such plugin" : "The order was not carried out",
    detail: refusal.message,
    more: refusal.code === "unknown-plugin" ? { known: knownNames(services) } : {},
  });
}

/** Most names told to who asked for another one. */
const mostKnown = 100;

const knownNames = ({ manager }: Services): string[] =>
  manager
    .list()
    .slice(0, mostKnown)
    .map(({ name }) => name);

function pluginView({ footprintOf }: Services, { sinceMs, lastExit, ...view }: PluginView) {
  const footprint = footprintOf(view.name);
  return {
    ...view,
    sinceAt: isoTime(sinceMs),
    lastExit: lastExit && { at: isoTime(lastExit.atMs), ...lastExit, atMs: undefined },
    footprint: footprint && { bytes: footprint.bytes, method: footprint.method },
  };
}
