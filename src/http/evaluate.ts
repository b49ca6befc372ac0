/** `POST /api/v1/scaling/evaluate`: what would be decided in a hypothetical state. Nothing is done or recorded. */

import type { Context } from "hono";
import * as z from "zod";
import { pluginName } from "../config/quantities.ts";
import { policySettings, withOrder } from "../config/scaler-schema.ts";
import { decide } from "../scaler/decide.ts";
import { policyOf } from "../scaler/policy.ts";
import type { ForecastFacts, PluginFacts, Policy, Situation } from "../scaler/situation.ts";
import { type BodyShape, checkedBody } from "./body.ts";
import { forecastView } from "./forecast-view.ts";
import { problem } from "./problem.ts";
import type { Services } from "./services.ts";

const mostPlugins = 256;
const mostRequired = 64;

const share = z.number().min(0).max(10);
const someBytes = z.int().min(0);

const pluginSchema = z.strictObject({
  name: pluginName,
  state: z.enum(["running", "starting", "shed", "blocked", "absent"]).optional(),
  footprintBytes: someBytes.nullable().optional(),
  learnedBytes: someBytes.nullable().optional(),
  startBytes: someBytes.nullable().optional(),
  growthPerSecond: z.number().min(0).max(1e12).nullable().optional(),
  requires: z.array(pluginName).max(mostRequired).optional(),
  protect: z.boolean().optional(),
  priority: z.int().min(-1_000_000).max(1_000_000).optional(),
  inFlight: z.int().min(0).max(1_000_000).optional(),
});

type SupposedPlugin = z.output<typeof pluginSchema>;

const hypothesisSchema = z.strictObject({
  usedRatio: share.optional(),
  smoothedForecastRatio: share.optional(),
  upperForecastRatio: share.optional(),
  plugins: z.array(pluginSchema).max(mostPlugins).optional(),
  onlyThesePlugins: z.boolean().optional(),
  growthPerSecond: z.number().min(0).max(1e12).optional(),
  stallPercent: z.number().min(0).max(100).optional(),
  shedding: z.boolean().optional(),
  reservedBytes: someBytes.optional(),
  policy: policySettings.optional(),
});

type Hypothesis = z.output<typeof hypothesisSchema>;

/** A hypothetical state; what is left out is as it is now. */
const hypothesis: BodyShape<Hypothesis> = {
  schema: hypothesisSchema,
  name: "a hypothesis",
  expected:
    "{usedRatio?, smoothedForecastRatio?, upperForecastRatio?: each a share of the budget, 0 to 10; " +
    "plugins?: at most 256 of {name, state?, footprintBytes?, learnedBytes?, startBytes?, growthPerSecond?, requires?, " +
    "protect?, priority?, inFlight?}, over those there are, or with onlyThesePlugins in their place; " +
    "growthPerSecond?: bytes, 0 to 1e12; stallPercent?: 0 to 100; shedding?; reservedBytes?; policy?: as scaler, without mode}",
  empty: {},
};

/** Answers the verdict with the situation, the forecast and the policy that it comes from. */
export async function evaluate(context: Context, { scaler, policy: inForce, clock }: Services) {
  const body = await checkedBody(context, clock, hypothesis);
  if (!body.ok) return body.response;
  const { measured, forecast } = scaler.status();
  if (!measured)
    return problem(context, {
      status: 503,
      code: "no_measurement",
      title: "Memory has not been measured yet",
      detail: "try again in a second",
      retryAfterSeconds: 1,
    });
  const supposed = body.value;
  const usedBytes =
    supposed.usedRatio === undefined ? measured.usedBytes : supposed.usedRatio * measured.budgetBytes;
  const situation = supposedSituation(scaler.situation({ ...measured, usedBytes }), supposed);
  const usedRatio = usedBytes / measured.budgetBytes;
  const ahead = supposedForecast(forecast, usedRatio, supposed, clock.nowMs());
  const acting = inForce();
  const policy: Policy = supposed.policy ? policyOf(withOrder(supposed.policy, acting.order)) : acting;
  const { growthPerSecond = 0, stallPercent = null, reservedBytes = 0, shedding, plugins } = situation;
  return context.json({
    verdict: decide(situation, ahead, policy),
    situation: {
      usedBytes,
      budgetBytes: measured.budgetBytes,
      growthPerSecond,
      stallPercent,
      reservedBytes,
      shedding,
      plugins,
    },
    forecast: forecastView(ahead),
    policy,
  });
}

function supposedSituation(now: Situation, supposed: Hypothesis): Situation {
  const { growthPerSecond, stallPercent, shedding, reservedBytes } = supposed;
  return {
    ...now,
    plugins: supposedPlugins(now.plugins, supposed),
    ...(growthPerSecond === undefined ? {} : { growthPerSecond }),
    ...(stallPercent === undefined ? {} : { stallPercent }),
    ...(shedding === undefined ? {} : { shedding }),
    ...(reservedBytes === undefined ? {} : { reservedBytes }),
  };
}

/** What is said of a plugin lies over what is known of it; one that is not known runs, if nothing else is said. */
function supposedPlugins(
  now: readonly PluginFacts[],
  { plugins = [], onlyThesePlugins = false }: Hypothesis,
): readonly PluginFacts[] {
  const byName = new Map<string, PluginFacts>(
    onlyThesePlugins ? [] : now.map((plugin) => [plugin.name, plugin]),
  );
  for (const said of plugins) {
    const { name } = said;
    const known = byName.get(name) ?? { name, state: "running", footprintBytes: null, learnedBytes: null };
    byName.set(name, { ...known, ...(onlySaid(said) as Partial<PluginFacts>) });
  }
  return [...byName.values()];
}

/** Only what was said. */
const onlySaid = (said: SupposedPlugin): object =>
  Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));

/** The forecast as it is, with what was supposed of it; what is supposed where there is none is taken as ready. */
function supposedForecast(
  forecast: ForecastFacts | null,
  usedRatio: number,
  { smoothedForecastRatio, upperForecastRatio }: Hypothesis,
  nowMs: number,
): ForecastFacts | null {
  if (smoothedForecastRatio === undefined && upperForecastRatio === undefined) return forecast;
  const value = smoothedForecastRatio ?? forecast?.smoothedRatio ?? usedRatio;
  const upper = upperForecastRatio ?? Math.max(value, forecast?.upperRatio ?? value);
  return {
    state: "ready",
    atMs: forecast?.atMs ?? nowMs,
    valueRatio: value,
    smoothedRatio: value,
    lowerRatio: Math.min(value, forecast?.lowerRatio ?? value),
    upperRatio: upper,
  };
}
