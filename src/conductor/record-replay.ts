/** The record replayed under a policy, for what it would have come to. */

import type { Config } from "../config/schema.ts";
import { type Recording, recordedHosts } from "../replay/recorded-hosts.ts";
import { metricsOf } from "../replay/tally.ts";
import { type Kernels, PolicyRunner } from "./policy-runner.ts";
import type { Recorded, ReplayPolicy, Stretch } from "./regret.ts";

/** So long that one stretch says little of the next. */
const stretchMs = 6 * 3_600_000;
/** Shorter ends of a record are left out. */
const leastMs = 600_000;
/** Decisions that are looked through for one that names the plugins. */
const mostLooked = 50;

/** Replays with the settings of a configuration; the policy comes with each call. */
export const recordReplay =
  (settings: Pick<Config, "scaler" | "forecast" | "monitor" | "plugins">, kernels: Kernels): ReplayPolicy =>
  async (record, policy, { sinceMs, untilMs }) => {
    const known = knownPlugins(record);
    const { hosts } = recordedHosts({
      samples: record.samples.range(sinceMs, untilMs),
      footprints: known.flatMap(({ name }) => record.footprints.range(name, sinceMs, untilMs)),
      known,
    });
    const runner = new PolicyRunner(settings, kernels, policy);
    try {
      return hosts.flatMap(({ model }): Stretch[] => {
        const stretches: Stretch[] = [];
        for (let beginMs = model.beginMs; beginMs + leastMs <= model.endMs; beginMs += stretchMs) {
          const endMs = Math.min(model.endMs, beginMs + stretchMs);
          const metrics = metricsOf(runner.run({ ...model, beginMs, endMs }));
          const { weightedAvailability, oomMinutes, criticalMinutes, sheds } = metrics;
          stretches.push({ startMs: beginMs, weightedAvailability, oomMinutes, criticalMinutes, sheds });
        }
        return stretches;
      });
    } finally {
      runner.dispose();
    }
  };

/** As the newest decision that tells them knew them. */
function knownPlugins({ decisions }: Recorded): Recording["known"] {
  for (const { inputs } of decisions.list({ limit: mostLooked }).decisions) {
    const { plugins } = (inputs ?? {}) as { plugins?: Recording["known"] };
    if (Array.isArray(plugins)) return plugins;
  }
  return [];
}
