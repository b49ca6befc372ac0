/**
 * A decision as the server shows it, or `why now` puts it together. What an older conductor did not record yet, or wrote in
 * another shape, is null or empty here: the rest can still be told.
 */

import * as z from "zod";

const number = z.number().nullish().catch(null);
const text = z.string().nullish().catch(null);
const flag = z.boolean().nullish().catch(null);

const pluginSchema = z.object({
  name: z.string(),
  state: z.string().catch("?"),
  footprintBytes: number,
  learnedBytes: number,
  growthPerSecond: number,
  inFlight: number,
  protect: flag,
  putOffUntil: text,
});

const loadSchema = z.object({
  perSecond: z.number(),
  recentPerSecond: z.number(),
  usualPerSecond: z.number().nullable(),
  rising: z.boolean(),
});

const thresholdsSchema = z.object({
  kind: text,
  order: z.array(z.string()).catch([]),
  shedRatio: z.number(),
  restoreRatio: z.number(),
  emergencyRatio: z.number(),
  marginRatio: z.number(),
  dwellMs: z.number(),
  victims: text,
});

/** One that is not as expected is left out, the others stay. */
const listOf = <T>(each: z.ZodType<T>) =>
  z
    .array(z.unknown())
    .catch([])
    .transform((values) => values.flatMap((value) => each.safeParse(value).data ?? []));

const totalsSchema = z.object({
  weightedAvailability: z.number(),
  oomMinutes: z.number(),
  criticalMinutes: z.number(),
  sheds: z.number(),
});

/** What a shadow was promoted for. */
const evidenceSchema = z.object({
  regret: z
    .object({ stretches: z.number(), acting: totalsSchema, shadow: totalsSchema })
    .nullish()
    .catch(null),
  cost: z.object({ replayMs: z.number(), peakBytes: z.number() }).nullish().catch(null),
});

const inputsSchema = z.object({
  measured: z.object({ usedBytes: z.number(), budgetBytes: z.number(), cgroup: text }).nullish().catch(null),
  plugins: listOf(pluginSchema),
  lastChangeAt: text,
  growthPerSecond: number,
  reclaimMs: number,
  reservedBytes: number,
  stallPercent: number,
  load: loadSchema.nullish().catch(null),
  ahead: z.object({ riseRatio: z.number(), at: z.string() }).nullish().catch(null),
  thresholds: thresholdsSchema.nullish().catch(null),
  evidence: evidenceSchema.nullish().catch(null),
});

const forecastSchema = z.object({
  state: z.string(),
  smoothedRatio: z.number(),
  lowerRatio: z.number(),
  upperRatio: z.number(),
  method: z.string().optional(),
  calibration: z.string().nullish(),
  reachShare: z.number().optional().catch(undefined),
});

const actionSchema = z.object({
  kind: z.string(),
  plugin: z.string(),
  /** Of a model that takes another one's place. */
  from: text,
  urgent: z.boolean().catch(false),
  expectedBytes: number,
  drainMs: number,
  startedAt: text,
  noticedMs: number,
  signalMs: number,
  durationMs: number,
  beforeBytes: number,
  afterBytes: number,
  actualBytes: number,
  done: flag,
  killed: flag,
  detail: text,
});

/** `{targetRatio, steps}`; an older conductor wrote the names alone. */
const planSchema = z
  .union([
    z.object({
      targetRatio: z.number(),
      steps: z.array(z.object({ plugin: z.string(), bytes: z.number().nullable(), afterRatio: z.number() })),
    }),
    z.array(z.string()),
  ])
  .nullish()
  .catch(null);

const decisionSchema = z.object({
  at: z.string(),
  policy: text,
  rule: z.string(),
  reason: z.string(),
  inputs: inputsSchema.catch(inputsSchema.parse({ plugins: [] })),
  forecast: forecastSchema.nullish().catch(null),
  plan: planSchema,
  actions: listOf(actionSchema),
  alternatives: listOf(z.object({ kind: z.string(), plugin: z.string(), because: z.string() })),
  outcome: z.string().catch("none"),
  /** Of one that was only observed: how its wish ended. */
  note: text,
});

export type DecisionFacts = z.output<typeof decisionSchema>;
export type InputFacts = DecisionFacts["inputs"];
export type ActionFacts = DecisionFacts["actions"][number];

/** Reads what a server or the record tells. Throws ZodError where it is no decision at all. */
export const decisionFacts = (data: unknown): DecisionFacts => decisionSchema.parse(data);
