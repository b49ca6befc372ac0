/** Hosts and policies by chance, for what must hold of all of them. */

import fc from "fast-check";
import { type Config, configSchema } from "../../src/config/schema.ts";
import type { HostModel } from "../../src/replay/host.ts";
import { generatedHost, type PatternName, patternNames } from "../../src/replay/scenarios.ts";

const beginMs = Date.UTC(2026, 0, 1);
const hourMs = 3_600_000;

/** What a host is made of: this is shown of one that fails. */
export interface Recipe {
  seed: number;
  pattern: PatternName;
  /** Scales the budget: the less, the harder the plugins press. */
  tightness: number;
  hours: number;
  requires: "none" | "one" | "chain";
  protect: "none" | "voice" | "discord";
}

export const recipe: fc.Arbitrary<Recipe> = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  pattern: fc.constantFrom(...patternNames),
  tightness: fc.double({ min: 0.6, max: 1.05, noNaN: true }),
  hours: fc.integer({ min: 1, max: 3 }),
  requires: fc.constantFrom("none", "one", "chain"),
  protect: fc.constantFrom("none", "voice", "discord"),
});

const requirements: Record<Recipe["requires"], Record<string, readonly string[]>> = {
  none: {},
  one: { voice: ["discord"] },
  chain: { voice: ["android"], android: ["discord"] },
};

export function hostOf({ seed, pattern, tightness, hours, requires, protect }: Recipe): HostModel {
  const endMs = beginMs + hours * hourMs;
  const host = generatedHost(pattern, { seed, budgetBytes: 8 * 2 ** 30, beginMs, endMs });
  return {
    ...host,
    budgetBytes: Math.round(tightness * host.budgetBytes),
    plugins: host.plugins.map((plugin) => ({
      ...plugin,
      requires: requirements[requires][plugin.name] ?? [],
      protect: plugin.name === protect,
    })),
  };
}

export interface Choice {
  policy: "mission" | "adaptive";
  victims: "order" | "culprit" | "largest" | "spare";
  method: "adaptive" | "ols";
}

export const choice: fc.Arbitrary<Choice> = fc.record({
  policy: fc.constantFrom("mission", "adaptive"),
  victims: fc.constantFrom("order", "culprit", "largest", "spare"),
  method: fc.constantFrom("adaptive", "ols"),
});

export const settingsOf = ({ policy, victims, method }: Choice): Config =>
  configSchema.parse({ scaler: { policy, victims }, forecast: { method } });
