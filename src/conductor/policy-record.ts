/** A policy as it was recorded, checked when it is read again. */

import * as z from "zod";
import type { Policy } from "../scaler/situation.ts";

const share = z.number().positive().max(1);

/** Of a whole policy. What it does not name is kept: a field of another version that this one does not need. */
export const policySchema = z.looseObject({
  kind: z.enum(["mission", "adaptive"]),
  order: z.array(z.string()).min(1),
  shedRatio: share,
  restoreRatio: share,
  emergencyRatio: share,
  marginRatio: share,
  dwellMs: z.number().min(0),
  victims: z.enum(["order", "culprit", "largest", "spare"]),
  putOff: z.strictObject({
    initialMs: z.number().min(0),
    mostMs: z.number().min(0),
    relapseMs: z.number().min(0),
  }),
  triggers: z.strictObject({
    stallPercent: z.number(),
    loadPerSecond: z.number().nullable(),
    spike: z.boolean(),
    timeOfDay: z.boolean(),
  }),
});

/** Null: it is none of this version's, and must not act. */
export function recordedPolicy(value: unknown): Policy | null {
  const checked = policySchema.safeParse(value);
  return checked.success ? checked.data : null;
}
