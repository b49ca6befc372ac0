/** Hosts from what a conductor recorded: its samples without the plugins are the base, their footprints are the curves. */

import { recordedCurve } from "./recorded-curve.ts";
import { usualTimes } from "./scenarios.ts";
import type { PluginModel } from "./simulated-plugin.ts";
import { stretchesOf } from "./stretches.ts";
import type { Hosts } from "./trace-hosts.ts";

export interface Recording {
  samples: readonly {
    atMs: number;
    memoryUsedBytes: number | null;
    memoryBudgetBytes: number | null;
  }[];
  footprints: readonly { atMs: number; plugin: string; bytes: number }[];
  /** As the newest decision knew them. */
  known: readonly Pick<PluginModel, "name" | "requires" | "protect">[];
}

export interface RecordedHosts extends Hosts {
  /** Share of the time (0..1) in which each plugin was not measured; its median stands in there. */
  filled: Record<string, number>;
}

/** A host for each stretch without a gap and with one budget. */
export function recordedHosts({ samples, footprints, known }: Recording): RecordedHosts {
  const measured = samples.filter(
    ({ memoryUsedBytes, memoryBudgetBytes }) => memoryUsedBytes !== null && memoryBudgetBytes !== null,
  );
  const atMs = Float64Array.from(measured, (sample) => sample.atMs);
  const base = Float64Array.from(measured, ({ memoryUsedBytes }) => memoryUsedBytes ?? 0);
  const index = new Map(measured.map((sample, at) => [sample.atMs, at]));
  const curves = new Map<string, Float64Array>();
  for (const { atMs: at, plugin, bytes } of footprints) {
    const place = index.get(at);
    if (place === undefined) continue;
    let curve = curves.get(plugin);
    if (!curve) {
      curve = new Float64Array(atMs.length).fill(Number.NaN);
      curves.set(plugin, curve);
    }
    curve[place] = bytes;
    base[place] = Math.max(0, (base[place] as number) - bytes);
  }
  const filled: Record<string, number> = {};
  for (const [plugin, curve] of curves) filled[plugin] = fill(curve);
  const budgetOf = (at: number) => measured[at]?.memoryBudgetBytes ?? 0;
  const { stretches, gaps, short } = stretchesOf(atMs, (at) => budgetOf(at) !== budgetOf(at - 1));
  const hosts = stretches.map(({ from, to }) => {
    const times = atMs.subarray(from, to);
    const curveOf = (values: Float64Array) => recordedCurve(times, values.subarray(from, to));
    return {
      label: new Date(times[0] as number).toISOString(),
      model: {
        budgetBytes: budgetOf(from),
        base: curveOf(base),
        plugins: [...curves].map(([name, values]): PluginModel => {
          const { requires, protect } = known.find((each) => each.name === name) ?? {};
          return {
            name,
            curve: curveOf(values),
            ...usualTimes,
            ...(requires ? { requires } : {}),
            ...(protect ? { protect } : {}),
          };
        }),
        beginMs: times[0] as number,
        endMs: times[times.length - 1] as number,
      },
    };
  });
  return { hosts, gaps, short, filled };
}

/** Puts the median where nothing was measured; yields the share of these places. */
function fill(values: Float64Array): number {
  const known = values.filter((value) => !Number.isNaN(value)).sort();
  const median = known[known.length >> 1] ?? 0;
  let missing = 0;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isNaN(values[i] as number)) continue;
    values[i] = median;
    missing++;
  }
  return values.length === 0 ? 0 : missing / values.length;
}
