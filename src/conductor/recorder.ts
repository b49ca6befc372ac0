/** Decisions into the audit and the metrics. */

import type { Clock } from "../clock.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { DecisionRecord, Outcome, Recorder } from "../scaler/ports.ts";
import type { Storage } from "../storage/storage.ts";

/** Writes each decision to storage with everything it was made from, so that it can be explained and made again. */
export class AuditRecorder implements Recorder {
  readonly #rules = new Map<number, { rule: string; actions: number; counted: number }>();

  constructor(
    private readonly storage: Storage,
    private readonly metrics: Metrics,
    private readonly clock: Clock,
  ) {}

  open(record: DecisionRecord): number {
    const { situation, policy, rule, reason, actions, rejected, forecast, plan } = record;
    const { nowMs, ...inputs } = situation;
    const plugins = actions.map(({ plugin }) => plugin);
    const id = this.storage.decisions.append({
      atMs: nowMs,
      policy: policy.kind ?? "mission",
      rule,
      reason,
      inputs: { ...inputs, thresholds: policy },
      forecast,
      plan: plan ?? null,
      actions,
      alternatives: rejected,
      plugins,
    });
    if (record.observed) {
      this.storage.decisions.setOutcome(id, { observed: true }, nowMs);
      this.metrics.countDecision(rule, "observed");
    } else if (record.actions.length === 0) this.metrics.countDecision(record.rule, "none");
    else this.#rules.set(id, { rule: record.rule, actions: record.actions.length, counted: 0 });
    return id;
  }

  close(id: number, outcomes: readonly Outcome[]): void {
    const flat = outcomes.map(({ carried, startedAtMs, ...outcome }) => ({
      ...outcome,
      ...carried,
      startedAt: new Date(startedAtMs).toISOString(),
    }));
    this.storage.decisions.setOutcome(id, flat, this.clock.nowMs());
    const open = this.#rules.get(id);
    if (!open) return;
    // In an emergency several come at once.
    for (const outcome of outcomes.slice(open.counted)) this.#count(outcome);
    open.counted = outcomes.length;
    if (outcomes.length < open.actions) return;
    this.#rules.delete(id);
    this.metrics.countDecision(open.rule, outcomes.every(({ carried }) => carried.done) ? "done" : "failed");
  }

  observed(id: number, { untilMs, note }: { untilMs: number; note: string }): void {
    const outcome = { observed: true, until: new Date(untilMs).toISOString(), note };
    this.storage.decisions.setOutcome(id, outcome, this.clock.nowMs());
  }

  #count({ kind, plugin, expectedBytes, actualBytes, carried }: Outcome): void {
    if (!carried.done) return;
    if (kind === "shed") this.metrics.countShed(plugin, expectedBytes, actualBytes);
    else this.metrics.countRestore(plugin);
  }
}
