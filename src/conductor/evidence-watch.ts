/** Promotes a shadow once the evidence that its settings ask for is there: looks once an hour. */

import type { Clock } from "../clock.ts";
import type { ShadowSettings } from "../config/shadow-schema.ts";
import type { Log } from "../log.ts";
import { type EvidenceTerms, judgeEvidence, worthReplaying } from "../scaler/promotion.ts";
import type { Policy } from "../scaler/situation.ts";
import type { Storage } from "../storage/storage.ts";
import type { PromotionDesk } from "./promotion-desk.ts";
import { type ReplayPolicy, regretOf } from "./regret.ts";

const hourMs = 3_600_000;

/** A shadow as it is configured, and since when it has been watched. */
export interface Watched {
  name: string;
  policy: Policy;
  sinceMs: number;
  settings: ShadowSettings;
}

export interface EvidenceWatchOptions {
  clock: Clock;
  log: Log;
  storage: Storage;
  desk: PromotionDesk;
  replay: ReplayPolicy | null;
  watched: () => readonly Watched[];
}

/** What its settings ask for; null: only a person promotes it. */
const termsOf = ({ promotion }: ShadowSettings): EvidenceTerms | null =>
  promotion === "manual"
    ? null
    : { afterMs: promotion.after, betterBy: promotion.betterBy, differences: promotion.differences };

/** What asks for evidence that nothing here can give: a line for each. */
export function promotionProblems(shadows: readonly ShadowSettings[], replay: ReplayPolicy | null): string[] {
  if (replay !== null) return [];
  return shadows.flatMap(({ name, promotion }) =>
    promotion === "manual"
      ? []
      : [
          `shadow ${name}: promotion: expected manual: evidence needs a replay of the record under both policies, which this conductor cannot make`,
        ],
  );
}

export class EvidenceWatch {
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking = false;

  constructor(private readonly options: EvidenceWatchOptions) {}

  /** Looks, unless it did within the hour or a shadow acts already. Failures are logged. */
  async look(): Promise<void> {
    const { clock, desk, log, watched } = this.options;
    const nowMs = clock.monotonicMs();
    if (this.#looking || desk.promoted || nowMs - this.#lookedAtMs < hourMs) return;
    this.#lookedAtMs = nowMs;
    this.#looking = true;
    try {
      for (const each of watched()) await this.#judge(each);
    } catch (error) {
      log.error("shadow.evidence_failed", { error });
    } finally {
      this.#looking = false;
    }
  }

  async #judge({ name, policy, sinceMs, settings }: Watched): Promise<void> {
    const { clock, desk, log, storage, replay } = this.options;
    const terms = termsOf(settings);
    if (terms === null || replay === null || desk.promoted || desk.hasFailed(name, policy)) return;
    const untilMs = clock.nowMs();
    const differences = storage.shadows.byRule(name, sinceMs).reduce((total, { count }) => total + count, 0);
    const known = { watchedMs: untilMs - sinceMs, differences };
    if (!worthReplaying(known, terms)) return;
    const span = { sinceMs: untilMs - terms.afterMs, untilMs };
    const acting = await replay(storage, desk.acting, span);
    const gain = regretOf(acting, await replay(storage, policy, span))?.gain ?? null;
    const { enough, because } = judgeEvidence({ ...known, gain }, terms);
    log.info("shadow.evidence", { shadow: name, enough, because });
    // A person may have promoted one while it was replayed.
    if (!enough || desk.promoted) return;
    const order = { by: "evidence", who: null, reason: because } as const;
    const ordered = desk.promote(name, policy, order, settings.probation);
    if (!ordered.ok) log.error("shadow.not_promoted", { shadow: name, because: ordered.message });
  }
}
