/** What conductor asks its own process for replays, and what that answers: one JSON object each way. */

import * as z from "zod";
import { policySchema } from "./policy-record.ts";

const share = z.number().min(-1).max(1);
const amount = z.number().min(0);
const totals = z.strictObject({
  weightedAvailability: z.number().min(0).max(1),
  oomMinutes: amount,
  criticalMinutes: amount,
  sheds: amount,
});

/** `settings` as a configuration has them: milliseconds and counts. */
export const replayRequest = z.strictObject({
  database: z.string().min(1),
  kernel: z.enum(["auto", "js"]),
  span: z.strictObject({ sinceMs: amount, untilMs: amount }),
  acting: policySchema,
  shadow: policySchema,
  settings: z.strictObject({
    forecast: z.strictObject({
      method: z.enum(["adaptive", "ols"]),
      horizon: amount,
      points: z.number().int().positive(),
      minPoints: z.number().int().positive(),
      emaAlpha: z.number().gt(0).max(1),
    }),
    monitor: z.strictObject({
      interval: amount,
      window: z.number().int().positive(),
      reflex: z.strictObject({ slowest: amount, fastest: amount }),
    }),
    plugins: z.strictObject({ startTimeout: amount }),
  }),
});

/** `regret` null: too little is recorded. `peakBytes`: what the process held at most, shared pages included. */
export const replayAnswer = z.strictObject({
  regret: z
    .strictObject({
      stretches: z.number().int().positive(),
      acting: totals,
      shadow: totals,
      gain: z.strictObject({ mean: share, low: share, high: share }),
    })
    .nullable(),
  replayMs: amount,
  peakBytes: amount,
});

export type ReplayRequest = z.output<typeof replayRequest>;
export type ReplayAnswer = z.output<typeof replayAnswer>;
