/** What a simulated stretch of time came to. */

/** Counts and sums, so that stretches can be added. */
export interface Tally {
  durationMs: number;
  oomKills: number;
  /** Minutes in which the kernel had to kill. */
  oomMinutes: number;
  /** At or over 95 % of the budget. */
  criticalMs: number;
  /** Milliseconds in which each plugin was ready, and how much it counts. */
  plugins: Record<string, { upMs: number; weight: number }>;
  sheds: number;
  restores: number;
  /** Sheds within ten minutes of the plugin's restore. */
  flaps: number;
  /** Sheds without which memory would not have come to 95 % within the horizon. */
  falseAlarms: number;
  /** Milliseconds from each other shed's decision to when memory would have been there; at most `mostLeads`. */
  leadMs: number[];
}

/** What a reader compares. Null where there is nothing to tell it from. */
export interface Metrics {
  /** 0..1, by priority: 1, 2, 4, … in the degradation order. */
  weightedAvailability: number;
  oomKills: number;
  oomMinutes: number;
  criticalMinutes: number;
  sheds: number;
  restores: number;
  flaps: number;
  flapsPerDay: number;
  falseAlarms: number;
  /** Of the sheds that were no false alarm. */
  medianLeadSeconds: number | null;
  days: number;
  /** 0..1 by plugin. */
  availability: Record<string, number>;
}

const mostLeads = 100_000;
const flapMs = 600_000;
const dayMs = 86_400_000;
const minuteMs = 60_000;

/** Importance doubles with each place in the degradation order; what it does not name counts as its first. */
export const weightOf = (plugin: string, order: readonly string[]): number =>
  2 ** Math.max(0, order.indexOf(plugin));

/** Counts while a simulation runs. */
export class Counting {
  sheds = 0;
  restores = 0;
  flaps = 0;
  falseAlarms = 0;
  oomKills = 0;
  oomMinutes = 0;
  readonly leadMs: number[] = [];
  readonly #restoredAtMs = new Map<string, number>();
  #oomMinute = Number.NaN;

  /** `crossesMs`: when memory would have come to 95 % without it; Infinity: not within the horizon. */
  shed(plugin: string, nowMs: number, crossesMs: number): void {
    this.sheds++;
    if (crossesMs === Number.POSITIVE_INFINITY) this.falseAlarms++;
    else if (this.leadMs.length < mostLeads) this.leadMs.push(crossesMs - nowMs);
    if (nowMs - (this.#restoredAtMs.get(plugin) ?? Number.NEGATIVE_INFINITY) <= flapMs) this.flaps++;
  }

  restored(plugin: string, nowMs: number): void {
    this.restores++;
    this.#restoredAtMs.set(plugin, nowMs);
  }

  killed(nowMs: number): void {
    this.oomKills++;
    const minute = Math.floor(nowMs / minuteMs);
    if (minute !== this.#oomMinute) this.oomMinutes++;
    this.#oomMinute = minute;
  }
}

/** Stretches of one host, or hosts alike, as one. Throws a RangeError without any. */
export function added(tallies: readonly Tally[]): Tally {
  const [first, ...others] = tallies;
  if (!first) throw new RangeError("nothing was simulated");
  const sum: Tally = { ...first, plugins: structuredClone(first.plugins), leadMs: [...first.leadMs] };
  for (const each of others) {
    for (const key of summed) sum[key] += each[key];
    sum.leadMs.push(...each.leadMs.slice(0, Math.max(0, mostLeads - sum.leadMs.length)));
    for (const [name, { upMs, weight }] of Object.entries(each.plugins)) {
      const known = sum.plugins[name];
      if (known) known.upMs += upMs;
      else sum.plugins[name] = { upMs, weight };
    }
  }
  return sum;
}

const summed = [
  "durationMs",
  "oomKills",
  "oomMinutes",
  "criticalMs",
  "sheds",
  "restores",
  "flaps",
  "falseAlarms",
] as const;

export function metricsOf(tally: Tally): Metrics {
  const { durationMs, plugins, leadMs, criticalMs, flaps } = tally;
  const days = durationMs / dayMs;
  const entries = Object.entries(plugins);
  const weights = entries.reduce((sum, [, { weight }]) => sum + weight, 0);
  const up = entries.reduce((sum, [, { weight, upMs }]) => sum + weight * upMs, 0);
  const sorted = leadMs.toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1];
  return {
    weightedAvailability: up / (weights * durationMs),
    oomKills: tally.oomKills,
    oomMinutes: tally.oomMinutes,
    criticalMinutes: criticalMs / minuteMs,
    sheds: tally.sheds,
    restores: tally.restores,
    flaps,
    flapsPerDay: flaps / days,
    falseAlarms: tally.falseAlarms,
    medianLeadSeconds: median === undefined ? null : median / 1_000,
    days,
    availability: Object.fromEntries(entries.map(([name, { upMs }]) => [name, upMs / durationMs])),
  };
}
