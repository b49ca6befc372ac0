/** `scaler` in `conductor.yaml`, and a policy file of its own: what each policy does unless it is told otherwise. */

import * as z from "zod";
import { count, duration, pluginName, ratio } from "./quantities.ts";

/** What a policy is made of, where nothing else is written. */
const presets = {
  mission: {
    shed: 0.8,
    restore: 0.65,
    emergency: 0.95,
    margin: 0.05,
    dwell: 30_000,
    victims: "order",
    putOff: { initial: 60_000, max: 3_600_000, relapse: 600_000 },
  },
  adaptive: {
    shed: 0.94,
    restore: 0.9,
    emergency: 0.97,
    margin: 0.03,
    dwell: 100,
    victims: "spare",
    putOff: { initial: 100, max: 300_000, relapse: 60_000 },
  },
} as const;

const percent = (share: number): string => `${Number((share * 100).toFixed(3))}%`;
const either = (mission: string, adaptive: string): string =>
  `default: ${mission}, with policy adaptive ${adaptive}`;

/** What a policy goes by; all of it may be left out. */
const policyShape = z.strictObject({
  policy: z
    .enum(["mission", "adaptive"])
    .default("mission")
    .describe(
      "mission: fixed lines; adaptive, which keeps more up: as late as the time to reclaim allows, and back as soon as it fits",
    ),
  order: z
    .array(pluginName)
    .min(1)
    .default(["voice", "android", "discord", "stubs"])
    .describe("Degradation order: the first is shed first, the last never"),
  shed: ratio()
    .optional()
    .describe(`Shed at this share of the budget, measured or forecast; ${either("80%", "94%, measured")}`),
  restore: ratio()
    .optional()
    .describe(`Restore at or under this share; ${either("65%", "90%")}`),
  emergency: ratio()
    .optional()
    .describe(
      `mission: keep only the last plugin at this measured share; adaptive: kill without a grace; ${either("95%", "97%")}`,
    ),
  margin: ratio()
    .optional()
    .describe(`Shedding goes on until this far under the shed line; ${either("5%", "3%")}`),
  dwell: duration(0)
    .optional()
    .describe(
      `Shortest time from a change to a restore, or to a shed on forecast alone; ${either("30s", "100ms")}`,
    ),
  victims: z
    .enum(["order", "culprit", "largest", "spare"])
    .optional()
    .describe(
      `Who goes: the first of the order; the one that explains the rise, of the first three; the largest; as few and as unimportant as free enough; ${either("order", "spare")}`,
    ),
  putOff: z
    .strictObject({
      initial: duration(0).optional().describe(either("1m", "100ms")),
      max: duration(0)
        .optional()
        .describe(`Each time twice as long, up to this; ${either("1h", "5m")}`),
      relapse: duration(0)
        .optional()
        .describe(`Shed again within so long, it brought the pressure back; ${either("10m", "1m")}`),
    })
    .prefault({})
    .describe("A restored plugin that brings the pressure back stays away"),
  triggers: z
    .strictObject({
      stall: ratio()
        .prefault("10%")
        .describe("Of 10 s everything waited for memory for this share; 100%: never"),
      load: count(1, 1_000_000)
        .optional()
        .describe("Requests a second that are many, once they rise; default: never"),
      spike: z.boolean().default(true).describe("Twice the usual requests within 30 s"),
      timeOfDay: z
        .boolean()
        .default(true)
        .describe("A peak that this time of the day usually brings, within 15 minutes"),
    })
    .prefault({})
    .describe("Early signs: they shed one plugin, and only from twice the margin under the shed line on"),
});

const scalerShape = z.strictObject({
  mode: z
    .enum(["act", "observe"])
    .default("act")
    .describe("observe: decide and record what would be done, and shed and restore nothing"),
  ...policyShape.shape,
});

type Written = z.output<typeof policyShape>;

/** The settings with what its policy does where nothing was written. */
export function filled({ putOff, ...written }: Written) {
  const preset = presets[written.policy];
  return {
    ...written,
    shed: written.shed ?? preset.shed,
    restore: written.restore ?? preset.restore,
    emergency: written.emergency ?? preset.emergency,
    margin: written.margin ?? preset.margin,
    dwell: written.dwell ?? preset.dwell,
    victims: written.victims ?? preset.victims,
    putOff: {
      initial: putOff.initial ?? preset.putOff.initial,
      max: putOff.max ?? preset.putOff.max,
      relapse: putOff.relapse ?? preset.putOff.relapse,
    },
  };
}

export type PolicySettings = ReturnType<typeof filled>;

/** Lines that contradict each other; `prefix` is where they stand, as in "scaler.". */
export const crossChecks = (prefix: string) => (value: PolicySettings, context: z.RefinementCtx) => {
  const refuse = (path: string[], message: string, written: unknown) =>
    context.addIssue({ code: "custom", path, message, params: { written } });
  const shed = `${prefix}shed (${percent(value.shed)})`;
  if (value.restore >= value.shed) refuse(["restore"], `expected less than ${shed}`, percent(value.restore));
  if (value.shed >= value.emergency)
    refuse(
      ["shed"],
      `expected less than ${prefix}emergency (${percent(value.emergency)})`,
      percent(value.shed),
    );
  if (value.margin >= value.shed) refuse(["margin"], `expected less than ${shed}`, percent(value.margin));
  if (value.putOff.initial > value.putOff.max)
    refuse(["putOff", "initial"], `expected at most ${prefix}putOff.max`, value.putOff.initial);
  const twice = value.order.find((name, index) => value.order.indexOf(name) !== index);
  if (twice) refuse(["order"], `"${twice}" stands twice; expected each plugin once`, value.order);
};

/** The keys of a policy that stands beside the scaler's: its order may be left out. */
export const policyKeys = {
  ...policyShape.shape,
  order: policyShape.shape.order.unwrap().optional().describe("Degradation order; default: scaler.order"),
};

/** The section: a policy, and whether it acts. */
export const scaler = scalerShape
  .prefault({})
  .transform(({ mode, ...policy }) => ({ mode, ...filled(policy) }))
  .superRefine(crossChecks("scaler."));

/** The whole of a policy file, and of a policy that a request brings; without an order of its own it is empty. */
export const policySettings = z
  .strictObject(policyKeys)
  .transform(({ order = [], ...policy }) => filled({ ...policy, order }))
  .superRefine(crossChecks(""));

/** The policy with `order` where it has none of its own. */
export const withOrder = (settings: PolicySettings, order: readonly string[]): PolicySettings =>
  settings.order.length > 0 ? settings : { ...settings, order: [...order] };
