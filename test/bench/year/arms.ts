/** What is compared over a year. */

import { loadKernels } from "../../../src/conductor/load-kernels.ts";
import { PolicyRunner } from "../../../src/conductor/policy-runner.ts";
import { configSchema } from "../../../src/config/schema.ts";
import type { HostModel } from "../../../src/replay/host.ts";
import { type Judge, NoProtection } from "../../../src/replay/judge.ts";
import { simulate } from "../../../src/replay/simulation.ts";
import type { Tally } from "../../../src/replay/tally.ts";
import { policyOf } from "../../../src/scaler/policy.ts";
import { OriginalRule } from "./original.ts";
import { StaticThreshold } from "./static-threshold.ts";

export interface Arm {
  name: string;
  run(model: HostModel): Tally;
}

const order = ["voice", "android", "discord", "stubs"];

export const armNames = [
  "no protection",
  "90 %, largest",
  "90 %, by order",
  "original",
  "mission, ols",
  "mission, adaptive forecast",
  "policy adaptive",
] as const;

/** Every arm, in the order of the table. */
export async function makeArms(): Promise<Arm[]> {
  const { kernels } = await loadKernels();
  const judged = (name: string, make: () => Judge): Arm => ({
    name,
    run: (model) => simulate(model, make(), { intervalMs: 30_000, horizonMs: 300_000, order }),
  });
  const scaled = (name: string, settings: object): Arm => {
    const config = configSchema.parse(settings);
    const runner = new PolicyRunner(config, kernels, policyOf(config.scaler));
    return { name, run: (model) => runner.run(model) };
  };
  const [none, largest, byOrder, original, ols, mission, adaptive] = armNames;
  return [
    judged(none, () => new NoProtection()),
    judged(largest, () => new StaticThreshold(null)),
    judged(byOrder, () => new StaticThreshold(order)),
    judged(original, () => new OriginalRule(order)),
    scaled(ols, { forecast: { method: "ols" } }),
    scaled(mission, {}),
    scaled(adaptive, { scaler: { policy: "adaptive" } }),
  ];
}
