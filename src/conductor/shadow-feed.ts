/** What the shadow policies decide, into the database, the metrics and the log. */

import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { Judged, ShadowPorts } from "../scaler/shadows.ts";
import type { Verdict } from "../scaler/situation.ts";
import type { Storage } from "../storage/storage.ts";

/** Readings that are counted and not written yet, by shadow. */
type Counts = Map<string, { agreements: number; differences: number }>;

export class ShadowFeed implements ShadowPorts {
  readonly #counts: Counts = new Map();

  constructor(
    private readonly storage: Storage,
    private readonly metrics: Metrics,
    private readonly log: Log,
  ) {}

  differs(shadow: string, { rule, reason, actions }: Verdict, { nowMs, measured, verdict }: Judged): number {
    this.metrics.countShadowDifference(shadow, rule);
    return this.storage.shadows.insert({
      shadow,
      atMs: nowMs,
      usedRatio: measured.usedBytes / measured.budgetBytes,
      rule,
      reason,
      actions,
      actingRule: verdict.rule,
      actingActions: verdict.actions,
    });
  }

  ended(id: number, untilMs: number): void {
    if (id > 0) this.storage.shadows.end(id, untilMs);
  }

  counted(shadow: string, agrees: boolean): void {
    const counts = this.#counts.get(shadow) ?? { agreements: 0, differences: 0 };
    if (agrees) counts.agreements++;
    else counts.differences++;
    this.#counts.set(shadow, counts);
  }

  failed(shadow: string, error: unknown): void {
    this.metrics.countShadowReadings(shadow, "failed");
    this.log.error("shadow.failed", {
      shadow,
      error,
      detail: "it decides no more until it is changed or conductor starts again; the acting policy goes on",
    });
  }

  /** Writes what was counted: a reading is too often for that. */
  flush(nowMs: number): void {
    for (const [shadow, { agreements, differences }] of this.#counts) {
      this.storage.shadows.count(shadow, nowMs, agreements, differences);
      this.metrics.countShadowReadings(shadow, "agree", agreements);
      this.metrics.countShadowReadings(shadow, "differ", differences);
    }
    this.#counts.clear();
  }
}
