/** `/api/v1/models`: the local models as they stand, what would let a better one fit, and a person's orders. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import type { ModelOrdered } from "../models/manager-ports.ts";
import { needOf } from "../models/need.ts";
import type { ModelServing } from "../models/serving.ts";
import type { ModelStanding } from "../models/standing.ts";
import { type MemoryUser, suggestions } from "../models/suggestions.ts";
import { problem } from "./problem.ts";
import { isoTime, type Services } from "./services.ts";

type ModelServices = Pick<Services, "clock" | "models" | "manager" | "footprintOf">;

/** The list and one of it; `load`, `unload` and `pin` for administrators. */
export function modelRoutes(services: ModelServices, administrators: MiddlewareHandler): Hono {
  const app = new Hono();
  app.get("/", (context) => context.json(listView(services)));
  app.get("/:name", (context) => withModel(services, context, () => ({ ok: true })));
  app.post("/:name/load", administrators, (context) =>
    withModel(services, context, ({ manager }, name) => manager.load(name)),
  );
  app.post("/:name/unload", administrators, (context) =>
    withModel(services, context, ({ manager }, name) => manager.unload(name)),
  );
  app.post("/:name/pin", administrators, (context) =>
    withModel(services, context, ({ manager }, name) => {
      const ordered = manager.pin(name);
      // It is pinned all the same, and loaded when memory allows: `notLoadedBecause` tells.
      return ordered.ok || ordered.code !== "closing" ? { ok: true } : ordered;
    }),
  );
  app.delete("/:name/pin", administrators, (context) =>
    withModel(services, context, ({ manager }, name) => {
      const isPinned = manager.facts().some((model) => model.name === name && model.pinned);
      return isPinned ? manager.pin(null) : { ok: true };
    }),
  );
  return app;
}

/** The model after the order; 202 while it is being carried out. */
function withModel(
  services: ModelServices,
  context: Context,
  order: (serving: ModelServing, name: string) => ModelOrdered,
) {
  const name = context.req.param("name") ?? "";
  const known = services.models?.manager.facts().map((model) => model.name) ?? [];
  if (!services.models || !known.includes(name)) return unknown(context, name, known);
  const ordered = order(services.models, name);
  if (!ordered.ok) return refused(context, ordered);
  const standing = services.models.manager.standings().find(({ facts }) => facts.name === name);
  if (!standing) throw new Error(`no model ${name}`);
  const { state, generating } = standing.facts;
  const leaving = standing.facts.unloadedByPerson && generating > 0;
  const underWay = state === "loading" || state === "unloading" || leaving;
  const view = modelView(services, services.models, standing);
  return context.json(view, context.req.method === "GET" || !underWay ? 200 : 202);
}

const titles = {
  "no-room": "The model does not fit",
  unusable: "The model cannot be used",
  changing: "Another model is changing",
  closing: "The conductor is shutting down",
};
const codes = {
  "no-room": "memory_short",
  unusable: "models_unusable",
  changing: "changing",
  closing: "closing",
};
/** Seconds after which to ask again. */
const retrySeconds = { "no-room": 30, unusable: 30, changing: 5, closing: 5 };

const refused = (context: Context, { code, reason, blockedBy }: Exclude<ModelOrdered, { ok: true }>) =>
  problem(context, {
    status: 503,
    code: codes[code],
    title: titles[code],
    detail: reason,
    retryAfterSeconds: retrySeconds[code],
    more: code === "no-room" ? { blocked_by: "memory", blockedBy } : {},
  });

const unknown = (context: Context, name: string, known: readonly string[]) =>
  problem(context, {
    status: 404,
    code: "model_unknown",
    title: "There is no such model",
    detail:
      known.length === 0
        ? "no models are configured (models: […] in the configuration)"
        : `none is called ${JSON.stringify(name.slice(0, 100))}; known: ${known.join(", ")}`,
    more: { known },
  });

function listView(services: ModelServices) {
  const serving = services.models;
  if (!serving) return { models: [], answering: null, pinned: null, switches: 0, suggestions: [] };
  const { manager } = serving;
  const standings = manager.standings();
  return {
    models: standings.map((standing) => modelView(services, serving, standing)),
    answering: manager.answering,
    pinned: standings.find(({ facts }) => facts.pinned)?.facts.name ?? null,
    switches: manager.switches,
    suggestions: suggestions(standings, () => memoryUsers(services, serving)),
  };
}

/** The plugins as last measured, and what else was looked for. */
function memoryUsers({ manager, footprintOf }: ModelServices, serving: ModelServing): MemoryUser[] {
  const plugins = manager.standings().flatMap(({ name }) => {
    const bytes = footprintOf(name)?.bytes ?? 0;
    return bytes > 0 ? [{ name, kind: "plugin" as const, bytes }] : [];
  });
  return [...plugins, ...serving.otherProcesses()];
}

function modelView({ clock }: ModelServices, { manager }: ModelServing, standing: ModelStanding) {
  const { facts, feedback, failure, loads, notLoadedBecause, missingBytes, quantisation } = standing;
  // The models' times are of the clock that never steps.
  const at = (monotonicMs: number | null | undefined) =>
    monotonicMs === null || monotonicMs === undefined
      ? null
      : isoTime(clock.nowMs() + monotonicMs - clock.monotonicMs());
  return {
    name: facts.name,
    state: facts.state,
    answering: manager.answering === facts.name,
    quality: facts.quality,
    quantisation,
    contextTokens: facts.contextTokens,
    loadedContextTokens: facts.loadedContextTokens,
    footprintBytes: facts.heldBytes,
    needBytes: needOf(facts, facts.contextTokens),
    missingBytes,
    notLoadedBecause,
    putOffUntilAt: at(facts.putOffUntilMs),
    pinned: facts.pinned ?? false,
    unloadedByPerson: facts.unloadedByPerson ?? false,
    failure,
    generating: facts.generating,
    parallel: facts.parallel,
    mostParallel: facts.mostParallel,
    tokensPerSecond: feedback.tokensPerSecond,
    firstTextMs: feedback.firstTextMs,
    failedRatio: feedback.failedRatio,
    answersMeasured: feedback.answers,
    loads,
    loadMs: facts.loadMs,
    loadedAt: at(facts.loadedAtMs),
    idleSinceAt: facts.generating > 0 ? null : at(facts.idleSinceMs),
  };
}
