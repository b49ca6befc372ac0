/** Promotes a shadow once the evidence that its settings ask for is there: looks once an hour. */

import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { ShadowSettings } from "../config/shadow-schema.ts";
import { formatDuration } from "../config/units.ts";
import type { Log } from "../log.ts";
import {
  type EvidenceTerms,
  type EvidenceVerdict,
  judgeEvidence,
  worthReplaying,
} from "../scaler/promotion.ts";
import type { Policy } from "../scaler/situation.ts";
import type { Storage } from "../storage/storage.ts";
import type { ReplayBoth } from "./background-replay.ts";
import type { PromotionDesk } from "./promotion-desk.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** After one that was put off for memory. */
const putOffMs = 10 * minuteMs;
/** After one that failed, each time twice as long. */
const mostFailedMs = 24 * hourMs;

/** A shadow as it is configured, and since when it has been watched. */
export interface Watched {
  name: string;
  policy: Policy;
  sinceMs: number;
  settings: ShadowSettings;
}

/** What was last found out about a shadow that may be promoted by evidence. */
export interface Judged extends EvidenceVerdict {
  atMs: number;
}

export interface EvidenceWatchOptions {
  clock: Clock;
  log: Log;
  storage: Storage;
  desk: PromotionDesk;
  /** Null: nothing here can. */
  replay: ReplayBoth | null;
  watched: () => readonly Watched[];
}

/** What its settings ask for; null: only a person promotes it. */
const termsOf = ({ promotion }: ShadowSettings): EvidenceTerms | null =>
  promotion === "manual"
    ? null
    : { afterMs: promotion.after, betterBy: promotion.betterBy, differences: promotion.differences };

/** What asks for evidence that cannot be had: a line for each. */
export function promotionProblems({ shadow, storage }: Pick<Config, "shadow" | "storage">): string[] {
  const keptMs = storage.retention.samples;
  return shadow.flatMap(({ name, promotion }) => {
    if (promotion === "manual") return [];
    if (storage.path === ":memory:")
      return [
        `shadow ${name}: promotion: expected manual: evidence needs a record on the disk to replay, and storage.path is :memory:`,
      ];
    if (promotion.after > keptMs)
      return [
        `shadow ${name}: promotion.after: ${formatDuration(promotion.after)}: expected at most storage.retention.samples (${formatDuration(keptMs)}): what is older cannot be replayed`,
      ];
    return [];
  });
}

/** replayed: or found not worth a replay. */
type Looked = "replayed" | "put-off" | "failed";

export class EvidenceWatch {
  #nextMs = Number.NEGATIVE_INFINITY;
  /** Looks in a row in which a replay failed. */
  #failures = 0;
  #looking = false;
  readonly #judged = new Map<string, Judged>();

  constructor(private readonly options: EvidenceWatchOptions) {}

  /** Null: there is nothing to say of it yet, or it needs a person. */
  judged(name: string): Judged | null {
    const { desk, watched } = this.options;
    const judged = this.#judged.get(name) ?? null;
    const policy = watched().find((each) => each.name === name)?.policy;
    if (!judged?.enough || policy === undefined || !desk.hasFailed(name, policy)) return judged;
    const because = "it went back for trouble; with another policy, or by a person, it may act again";
    return { ...judged, enough: false, because };
  }

  /** Looks, unless it is too early or a shadow acts already. Failures are logged. */
  async look(): Promise<void> {
    const { clock, desk, log, watched } = this.options;
    if (this.#looking || desk.promoted || clock.monotonicMs() < this.#nextMs) return;
    this.#looking = true;
    const looked = new Set<Looked>();
    try {
      for (const each of watched()) looked.add(await this.#judge(each));
    } catch (error) {
      log.error("shadow.evidence_failed", { error });
      looked.add("failed");
    } finally {
      this.#failures = looked.has("failed") ? this.#failures + 1 : 0;
      const waitMs = looked.has("put-off") ? putOffMs : Math.min(mostFailedMs, hourMs * 2 ** this.#failures);
      this.#nextMs = clock.monotonicMs() + waitMs;
      this.#looking = false;
    }
  }

  async #judge(watched: Watched): Promise<Looked> {
    const { clock, desk, log, storage, replay } = this.options;
    const { name, policy, sinceMs, settings } = watched;
    const terms = termsOf(settings);
    if (terms === null || replay === null || desk.promoted || desk.hasFailed(name, policy)) return "replayed";
    const untilMs = clock.nowMs();
    const differences = storage.shadows.byRule(name, sinceMs).reduce((total, { count }) => total + count, 0);
    const known = { watchedMs: untilMs - sinceMs, differences };
    if (!worthReplaying(known, terms)) {
      this.#conclude(name, judgeEvidence({ ...known, gain: null }, terms));
      return "replayed";
    }
    const { acting } = desk;
    const replayed = await replay({ acting, shadow: policy }, { sinceMs: untilMs - terms.afterMs, untilMs });
    if (replayed.outcome !== "done") {
      const { outcome, because } = replayed;
      this.#conclude(name, { enough: false, because: `it was not replayed: ${because}` });
      if (outcome === "failed") log.error("shadow.replay_failed", { shadow: name, because });
      else log.info("shadow.replay_put_off", { shadow: name, because });
      return outcome;
    }
    const { regret, cost } = replayed;
    const verdict = judgeEvidence({ ...known, gain: regret?.gain ?? null }, terms);
    this.#conclude(name, verdict);
    log.info("shadow.evidence", { shadow: name, ...verdict, regret, ...cost });
    // Meanwhile a person may have promoted one, or the configuration changed.
    const stands = desk.acting === acting && this.options.watched().includes(watched);
    if (!verdict.enough || desk.promoted || !stands) return "replayed";
    const order = { by: "evidence", who: null, reason: verdict.because } as const;
    const ordered = desk.promote(name, policy, order, settings.probation, { ...known, regret, cost });
    if (!ordered.ok) log.error("shadow.not_promoted", { shadow: name, because: ordered.message });
    return "replayed";
  }

  #conclude(name: string, verdict: EvidenceVerdict): void {
    // Names of earlier configurations go.
    const names = new Set(this.options.watched().map((each) => each.name));
    for (const known of this.#judged.keys()) if (!names.has(known)) this.#judged.delete(known);
    this.#judged.set(name, { ...verdict, atMs: this.options.clock.nowMs() });
  }
}
