/** Which policy acts: the configured one, or a shadow that was promoted. Kept in the database; see scaler/promotion.ts. */

import type { Clock } from "../clock.ts";
import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import {
  countFlaps,
  type Order,
  type Ordered,
  type Probation,
  type Promoted,
  troubleOf,
} from "../scaler/promotion.ts";
import type { Policy } from "../scaler/situation.ts";
import type { PromotionChange, PromotionDraft, PromotionRow } from "../storage/promotions.ts";
import type { Storage } from "../storage/storage.ts";
import { actedSince } from "./acted.ts";
import { recordedPolicy } from "./policy-record.ts";
import type { Regret } from "./regret.ts";

export interface PromotionDeskOptions {
  clock: Clock;
  log: Log;
  events: Publisher;
  storage: Storage;
  metrics: Metrics;
  /** Processes that the kernel has killed for memory since it started; null: it does not tell. */
  oomKills: () => number | null;
  /** Another policy acts from now on. */
  onPolicy: (policy: Policy) => void;
}

/** What a promotion by evidence rests on. */
export interface PromotionEvidence {
  watchedMs: number;
  /** Decisions that differed. */
  differences: number;
  regret: Regret | null;
  /** What the replay took; null where it was not measured. */
  cost: { replayMs: number; peakBytes: number } | null;
}

export class PromotionDesk {
  readonly #options: PromotionDeskOptions;
  #configured: Policy;
  #promoted: Promoted | null;

  /** Throws StorageError when it cannot be read what acted last. */
  constructor(options: PromotionDeskOptions, configured: Policy) {
    this.#options = options;
    this.#configured = configured;
    this.#promoted = this.#recorded();
    if (this.#promoted) {
      const { shadow, by, who, reason, sinceMs } = this.#promoted;
      const at = new Date(sinceMs).toISOString();
      options.log.warn("scaler.policy_overridden", {
        shadow,
        by,
        who,
        reason,
        since: at,
        overrides: "scaler",
      });
    }
  }

  /** The policy that acts. */
  get acting(): Policy {
    return this.#promoted?.policy ?? this.#configured;
  }

  get promoted(): Promoted | null {
    return this.#promoted;
  }

  /** What the configuration says, whether or not it acts. */
  get configured(): Policy {
    return this.#configured;
  }

  /** The configuration was read again; yields the policy that acts. */
  configure(policy: Policy): Policy {
    this.#configured = policy;
    return this.acting;
  }

  /** Every change that is kept, the newest first. Throws StorageError. */
  history(limit: number): PromotionRow[] {
    return this.#options.storage.promotions.latest(limit);
  }

  /**
   * `policy` of `shadow` acts from now on, for `probationMs` on probation (null: none). `evidence` is recorded with it, for
   * who wants to know what it was promoted for; null: a person ordered it.
   */
  promote(
    shadow: string,
    policy: Policy,
    order: Order,
    probationMs: number | null,
    evidence: PromotionEvidence | null = null,
  ): Ordered {
    const promoted = this.#promoted;
    if (promoted?.shadow === shadow && JSON.stringify(promoted.policy) === JSON.stringify(policy))
      return { ok: false, code: "acts-already", message: `${shadow} acts already` };
    const atMs = this.#options.clock.nowMs();
    const probationUntilMs = probationMs === null ? null : atMs + probationMs;
    const oomKills = probationMs === null ? null : this.#options.oomKills();
    return this.#change("promoted", { atMs, shadow, policy, probationUntilMs, oomKills, ...order }, evidence);
  }

  /** The configured policy acts again. */
  rollback(order: Order): Ordered {
    const promoted = this.#promoted;
    if (!promoted)
      return {
        ok: false,
        code: "not-promoted",
        message: "the configured policy acts: no shadow is promoted",
      };
    const atMs = this.#options.clock.nowMs();
    const { shadow, policy } = promoted;
    const rest = { shadow, policy, probationUntilMs: null, oomKills: null };
    return this.#change("rolled-back", { atMs, ...rest, ...order });
  }

  /** Whether `shadow` with this policy went back for trouble before. Throws StorageError. */
  hasFailed(shadow: string, policy: Policy): boolean {
    const text = JSON.stringify(policy);
    return this.history(1_000).some(
      (row) =>
        row.change === "rolled-back" &&
        row.by === "probation" &&
        row.shadow === shadow &&
        JSON.stringify(row.policy) === text,
    );
  }

  /** Ends a probation that failed, or whose time is over. Cheap without one. Throws StorageError. */
  check(): void {
    const promoted = this.#promoted;
    const { clock } = this.#options;
    if (!promoted || promoted.probationUntilMs === null) return;
    const nowMs = clock.nowMs();
    const trouble = troubleOf(this.#probation(promoted, promoted.probationUntilMs, nowMs));
    const order = { by: "probation", who: null } as const;
    if (trouble !== null) {
      this.rollback({ ...order, reason: trouble });
      return;
    }
    if (nowMs < promoted.probationUntilMs) return;
    const { shadow, policy } = promoted;
    const reason = "its probation is over without trouble";
    this.#change("kept", {
      atMs: nowMs,
      shadow,
      policy,
      probationUntilMs: null,
      oomKills: null,
      ...order,
      reason,
    });
  }

  #probation({ sinceMs, oomKills }: Promoted, untilMs: number, nowMs: number): Probation {
    const { storage } = this.#options;
    const lengthMs = untilMs - sinceMs;
    // Before the first flap that counts, its restore.
    const { actions, emergenciesAtMs } = actedSince(storage, sinceMs - lengthMs - 600_000);
    const kills = this.#options.oomKills();
    return {
      emergencies: emergenciesAtMs.filter((atMs) => atMs >= sinceMs).length,
      // A count that fell was begun anew by a restart of the machine.
      oomKills: kills === null || oomKills === null ? null : kills >= oomKills ? kills - oomKills : kills,
      flaps: countFlaps(actions, sinceMs, nowMs + 1),
      flapsBefore: countFlaps(actions, sinceMs - lengthMs, sinceMs),
    };
  }

  /** First to the disk: what acts is what would act after a crash. */
  #change(
    change: PromotionChange,
    draft: Omit<PromotionDraft, "change"> & Order & { policy: Policy },
    evidence: PromotionEvidence | null = null,
  ): Ordered {
    const { log, events, metrics, storage, onPolicy } = this.#options;
    const problem = storage.promotions.insert({ ...draft, change });
    if (problem !== null) return { ok: false, code: "not-kept", message: `nothing was changed: ${problem}` };
    this.#promoted = change === "rolled-back" ? null : promotedOf(draft);
    this.#audit(change, draft, evidence);
    const { shadow, by, who, reason } = draft;
    log.warn("scaler.policy_changed", { change, shadow, by, who, reason });
    events.publish("scaling.policy", { shadow, change, by, reason });
    metrics.countPromotion(shadow, change);
    if (change !== "kept") onPolicy(this.acting);
    return { ok: true };
  }

  /** Among the decisions too, where somebody will look who wonders why the host behaves otherwise. */
  #audit(
    change: PromotionChange,
    { atMs, shadow, by, who, reason, probationUntilMs }: Omit<PromotionDraft, "change">,
    evidence: PromotionEvidence | null,
  ): void {
    const ordered = by === "person" ? `ordered by ${who ?? "a person"}` : `by ${by}`;
    const does: Record<PromotionChange, string> = {
      promoted: `the shadow policy ${shadow} acts in place of the configured one`,
      kept: `the shadow policy ${shadow} goes on to act`,
      "rolled-back": `the configured policy acts again in place of ${shadow}`,
    };
    this.#options.storage.decisions.append({
      atMs,
      policy: this.acting.kind ?? "mission",
      rule: change,
      reason: `${does[change]}, ${ordered}: ${reason}`,
      inputs: {
        shadow,
        by,
        who,
        probationUntilMs,
        thresholds: this.acting,
        ...(evidence ? { evidence } : {}),
      },
      forecast: null,
      plan: null,
      actions: [],
      alternatives: [],
      plugins: [],
    });
  }

  #recorded(): Promoted | null {
    const [latest] = this.#options.storage.promotions.latest(1);
    if (!latest || latest.change === "rolled-back") return null;
    const policy = recordedPolicy(latest.policy);
    if (policy === null) {
      const remedy = "the configured policy acts; promote the shadow again";
      this.#options.log.error("scaler.promotion_unreadable", { shadow: latest.shadow, remedy });
      return null;
    }
    return promotedOf({ ...latest, policy, by: latest.by as Order["by"] });
  }
}

const promotedOf = (row: Omit<PromotionDraft, "change"> & Order & { policy: Policy }): Promoted => ({
  shadow: row.shadow,
  policy: row.policy,
  sinceMs: row.atMs,
  by: row.by,
  who: row.who,
  reason: row.reason,
  probationUntilMs: row.probationUntilMs,
  oomKills: row.oomKills,
});
