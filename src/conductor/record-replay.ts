/** The record replayed under a policy, for what it would have come to. */

import { type Recording, recordedHosts } from "../replay/recorded-hosts.ts";
import { metricsOf } from "../replay/tally.ts";
import { type Kernels, PolicyRunner, type RunnerSettings } from "./policy-runner.ts";
import type { Recorded, ReplayPolicy, Span, Stretch } from "./regret.ts";

/** So long that one stretch says little of the next; no more of the record is held at once. */
export const stretchMs = 6 * 3_600_000;
/** Shorter ends of a record are left out. */
const leastMs = 600_000;
/** Decisions that are looked through for one that names the plugins. */
const mostLooked = 50;
/** Rows that a query yields at most; a shorter answer is the last. */
const pageRows = 20_000;

type Known = Recording["known"];

/** Replays with the settings of a configuration; the policy comes with each call. */
export const recordReplay =
  (settings: RunnerSettings, kernels: Kernels): ReplayPolicy =>
  async (record, policy, span, order) => {
    const known = knownPlugins(record);
    const usualBytes = usualFootprints(record, known, span);
    // Without a plugin there is nothing that one policy keeps up and another does not.
    if (usualBytes.size === 0) return [];
    const runner = new PolicyRunner(settings, kernels, policy);
    const stretches: Stretch[] = [];
    try {
      for (let sinceMs = span.sinceMs; sinceMs < span.untilMs; sinceMs += stretchMs) {
        const untilMs = Math.min(span.untilMs, sinceMs + stretchMs - 1);
        const { hosts } = recordedHosts(recording(record, known, usualBytes, { sinceMs, untilMs }));
        for (const { model } of hosts) {
          if (model.endMs - model.beginMs < leastMs) continue;
          const metrics = metricsOf(runner.run(model, { order }));
          const { weightedAvailability, oomMinutes, criticalMinutes, sheds } = metrics;
          stretches.push({
            startMs: model.beginMs,
            weightedAvailability,
            oomMinutes,
            criticalMinutes,
            sheds,
          });
        }
      }
      return stretches;
    } finally {
      runner.dispose();
    }
  };

/** As the newest decision that tells them knew them. */
function knownPlugins({ decisions }: Recorded): Known {
  for (const { inputs } of decisions.list({ limit: mostLooked }).decisions) {
    const { plugins } = (inputs ?? {}) as { plugins?: Known };
    if (Array.isArray(plugins)) return plugins;
  }
  return [];
}

/** The median of what each plugin held in the span, of its first 20,160 measurements; one never measured is left out. */
function usualFootprints(
  { footprints }: Recorded,
  known: Known,
  { sinceMs, untilMs }: Span,
): Map<string, number> {
  return new Map(
    known.flatMap(({ name }) => {
      const held = footprints.range(name, sinceMs, untilMs).map(({ bytes }) => bytes);
      const median = held.sort((a, b) => a - b)[held.length >> 1];
      return median === undefined ? [] : [[name, median] as const];
    }),
  );
}

/** A plugin that was not there all the while stands in with what it usually holds: another policy may have kept it. */
function recording(
  { samples, footprints }: Recorded,
  known: Known,
  usualBytes: ReadonlyMap<string, number>,
  { sinceMs, untilMs }: Span,
): Recording {
  const memory = paged(sinceMs, (fromMs) => samples.memory(fromMs - 1, untilMs, pageRows));
  const [first] = memory;
  const measured = [...usualBytes].flatMap(([plugin, bytes]) => {
    const rows = paged(sinceMs, (fromMs) => footprints.range(plugin, fromMs, untilMs, pageRows));
    if (rows.length > 0 || !first) return rows;
    // One measurement is enough for the median of all; it was in no use that was measured.
    first.memoryUsedBytes = (first.memoryUsedBytes ?? 0) + bytes;
    return [{ atMs: first.atMs, plugin, bytes }];
  });
  return { samples: memory, footprints: measured, known };
}

/** Every row from `fromMs` on: the next page begins after the last row of the one before. */
function paged<Row extends { atMs: number }>(fromMs: number, read: (fromMs: number) => Row[]): Row[] {
  const rows: Row[] = [];
  for (let nextMs = fromMs; ; ) {
    const page = read(nextMs);
    for (const row of page) rows.push(row);
    const last = page.at(-1);
    if (!last || page.length < pageRows) return rows;
    nextMs = last.atMs + 1;
  }
}
