/** `shadow` in `conductor.yaml`: policies that decide beside the one that acts, and do nothing. */

import * as z from "zod";
import { count, duration, pluginName, ratio } from "./quantities.ts";
import { crossChecks, filled, policyKeys } from "./scaler-schema.ts";

/** Each costs some microseconds a reading. */
export const mostShadows = 4;

const dayMs = 86_400_000;

const evidence = z.strictObject({
  // The least that a replay can be told apart from chance by: four quarters of a day.
  after: duration(dayMs, 366 * dayMs, "1d to 366d").describe("Watched for at least this long"),
  betterBy: ratio().describe("Better by this much weighted availability, with 95 % confidence"),
  differences: count(1, 100_000).default(20).describe("and with at least so many decisions that differ"),
});

const textOf = (policy: object): string => JSON.stringify(Object.entries(policy).sort());
const unset = textOf({ order: [], ...z.strictObject(policyKeys).parse({}) });

const shadow = z
  .strictObject({
    name: pluginName.describe("In status, metrics and orders"),
    file: z.string().min(1).optional().describe("A policy file, in place of settings that stand here"),
    promotion: z
      .union([z.literal("manual"), evidence], {
        error: "expected manual, or {after: 7d, betterBy: 1%, differences: 20}; after is 1d to 366d",
      })
      .default("manual")
      .describe("Who lets it act: a person, or the evidence"),
    probation: duration(60_000, 31 * dayMs, "1m to 31d")
      .prefault("24h")
      .describe("Promoted by evidence, it goes back if there is trouble within this time"),
    ...policyKeys,
  })
  .transform(({ name, file, promotion, probation, order = [], ...policy }, context) => {
    if (file !== undefined && textOf({ order, ...policy }) !== unset)
      context.addIssue({
        code: "custom",
        path: ["file"],
        message: "expected the settings of the policy there or here, not both",
      });
    return { name, file, promotion, probation, settings: filled({ ...policy, order }) };
  })
  .superRefine(({ settings }, context) => crossChecks("")(settings, context));

export type ShadowSettings = z.output<typeof shadow>;

/** Each under a name of its own. */
export const shadows = z
  .array(shadow)
  .max(mostShadows)
  .superRefine((list, context) => {
    list.forEach(({ name }, index) => {
      if (list.findIndex((other) => other.name === name) < index)
        context.addIssue({ code: "custom", path: [index, "name"], message: `"${name}" stands twice` });
    });
  })
  .prefault([]);
