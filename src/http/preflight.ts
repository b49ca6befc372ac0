/** `/api/v1/scaling/preflight`: may an operation of the user's own take so much memory; and its lease, until it is over. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import { count, pluginName } from "../config/quantities.ts";
import { formatBytes, formatPercent } from "../config/units.ts";
import { type Lease, longestLeaseMs, usualLeaseMs } from "../scaler/leases.ts";
import type { PreflightAnswer } from "../scaler/preflight.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { type Problem, problem } from "./problem.ts";
import { isoTime, type Services } from "./services.ts";

const someBytes = count(1, Number.MAX_SAFE_INTEGER);
const leaseMs = count(1, longestLeaseMs).default(usualLeaseMs);
/** Most plugins told to who named another one. */
const mostKnown = 100;

const askSchema = z.strictObject({
  bytes: someBytes,
  /** A number as in a manifest; or a plugin, than which those that are shed before it are less important. */
  priority: z
    .union([count(-1_000, 1_000), pluginName], {
      error: "expected a whole number from -1000 to 1000, or the name of a plugin",
    })
    .optional(),
  leaseMs,
  name: z
    .string()
    .trim()
    .regex(/^[^\p{C}]{1,64}$/u, "expected 1 to 64 characters, for who reads who has the memory")
    .default("an operation"),
  shed: z.boolean().default(false),
});

const askShape: BodyShape<z.output<typeof askSchema>> = {
  schema: askSchema,
  name: "a preflight",
  expected: "{bytes, priority?, leaseMs?, name?, shed?}",
};

const renewalSchema = z.strictObject({
  leaseMs,
  takenBytes: count(0, Number.MAX_SAFE_INTEGER).optional(),
});

const renewalShape: BodyShape<z.output<typeof renewalSchema>> = {
  schema: renewalSchema,
  name: "a renewal of a lease",
  expected: "{leaseMs?, takenBytes?}",
  empty: {},
};

/** POST asks; PUT (or POST) on the lease renews it, DELETE gives it back. `shed: true` needs the token. */
export function preflightRoutes(services: Services, administrators: MiddlewareHandler): Hono {
  const { scaler, clock } = services;
  const app = new Hono();
  app.post("/", (context) => ask(services, administrators, context));
  app.on(["PUT", "POST"], "/:lease", async (context) => {
    const body = await checkedBody(context, clock, renewalShape);
    if (!body.ok) return body.response;
    const { takenBytes } = body.value;
    const lease = scaler.preflight.renew(context.req.param("lease"), body.value.leaseMs, takenBytes);
    return lease ? context.json(leaseView(services, lease)) : unknown(context);
  });
  app.delete("/:lease", (context) => {
    const leaseId = context.req.param("lease");
    return scaler.preflight.release(leaseId) ? context.json({ leaseId, released: true }) : unknown(context);
  });
  return app;
}

async function ask(services: Services, administrators: MiddlewareHandler, context: Context) {
  const { scaler, clock } = services;
  const body = await checkedBody(context, clock, askShape);
  if (!body.ok) return body.response;
  const { bytes, priority, name, shed } = body.value;
  if (shed) {
    const refused = await administrators(context, () => Promise.resolve());
    if (refused) return refused;
  }
  if (typeof priority === "string" && !services.manager.standing(priority))
    return noSuchPlugin(services, context, priority);
  const answer = await scaler.preflight.ask({
    bytes,
    importance: priority ?? null,
    leaseMs: body.value.leaseMs,
    who: name,
    shed,
  });
  if (answer.decision !== "proceed") return problem(context, refusalOf(answer, bytes));
  const { availableBytes, reason, lease } = answer;
  return context.json({
    decision: "proceed",
    ...leaseView(services, lease),
    blockedBy: [],
    availableBytes,
    reason,
  });
}

const leaseView = ({ clock }: Services, { id, who, bytes, takenBytes, untilMs }: Lease) => ({
  leaseId: id,
  name: who,
  bytes,
  takenBytes,
  expiresAt: isoTime(clock.nowMs() + untilMs - clock.monotonicMs()),
});

type Refusal = Exclude<PreflightAnswer, { decision: "proceed" }>;

function refusalOf(answer: Refusal, bytes: number): Problem {
  if (answer.decision === "unmeasured")
    return {
      status: 503,
      code: "no_measurement",
      title: "Memory has not been measured yet",
      detail: "try again in a second",
      retryAfterSeconds: 1,
    };
  if (answer.decision === "too-large") {
    const { budgetBytes, mostBytes } = answer;
    return {
      status: 422,
      code: "over_budget",
      title: "So much memory is never given",
      detail: `bytes: ${bytes} (${formatBytes(bytes)}) is more than ${mostBytes} (${formatBytes(mostBytes)}), the ${formatPercent(mostBytes / budgetBytes)} of the budget of ${budgetBytes} (${formatBytes(budgetBytes)}) up to which memory may be used`,
      more: { decision: "refuse", bytes, budgetBytes, mostBytes },
    };
  }
  const { decision, availableBytes, reason, blockedBy, retryAfterMs } = answer;
  return {
    status: 503,
    code: decision === "wait" ? "memory_promised" : "memory_short",
    title:
      decision === "wait"
        ? "There is no room for so much memory yet"
        : "There is no room for so much memory beside what runs",
    detail: reason,
    retryAfterSeconds: retryAfterMs / 1_000,
    more: {
      decision,
      leaseId: null,
      expiresAt: null,
      blocked_by: "memory",
      blockedBy,
      availableBytes,
      reason,
    },
  };
}

const unknown = (context: Context) =>
  problem(context, {
    status: 404,
    code: "lease_unknown",
    title: "There is no such lease",
    detail: "it was given back or has expired: ask again with POST /api/v1/scaling/preflight",
  });

function noSuchPlugin({ manager }: Services, context: Context, name: string) {
  const known = manager
    .standings()
    .slice(0, mostKnown)
    .map((each) => each.name);
  return problem(context, {
    status: 422,
    code: "plugin_unknown",
    title: "There is no such plugin",
    detail: `priority: ${name} is no plugin; known: ${known.join(", ") || "none"}`,
    more: { known },
  });
}
