/** Hosts from a trace: its memory is the base, the plugins come on top. */

import type { HostModel } from "./host.ts";
import { recordedCurve } from "./recorded-curve.ts";
import type { PluginModel } from "./simulated-plugin.ts";
import { stretchesOf } from "./stretches.ts";
import type { TraceSeries } from "./trace-series.ts";

/** A host to run, and what it is called. */
export interface NamedHost {
  label: string;
  model: HostModel;
}

export interface Hosts {
  hosts: NamedHost[];
  gaps: number;
  /** Stretches left out since they are too short. */
  short: number;
}

export interface TraceHostOptions {
  budgetBytes: number;
  /** 100 percent of the trace is this share of the budget. */
  share: number;
  plugins: readonly PluginModel[];
}

/** Times of a trace count from somewhere; simulations from here, so that days begin where the trace begins. */
const epochMs = Date.UTC(2026, 0, 1);

/** A host for each stretch without a gap. A host's time begins at a whole sample. */
export function traceHosts(series: readonly TraceSeries[], options: TraceHostOptions): Hosts {
  const found: Hosts = { hosts: [], gaps: 0, short: 0 };
  for (const { sys, seg, tSeconds, memPercent } of series) {
    const first = tSeconds[0] ?? 0;
    const atMs = tSeconds.map((t) => epochMs + Math.round((t - first) * 1_000));
    const bytes = memPercent.map((mem) => Math.max(0, (mem / 100) * options.share * options.budgetBytes));
    const { stretches, gaps, short } = stretchesOf(atMs);
    found.gaps += gaps;
    found.short += short;
    for (const { from, to } of stretches)
      found.hosts.push({
        label: stretches.length > 1 ? `${sys}/${seg} from ${tSeconds[from]} s` : `${sys}/${seg}`,
        model: {
          budgetBytes: options.budgetBytes,
          base: recordedCurve(atMs.subarray(from, to), bytes.subarray(from, to)),
          plugins: options.plugins,
          beginMs: atMs[from] as number,
          endMs: atMs[to - 1] as number,
        },
      });
  }
  return found;
}
