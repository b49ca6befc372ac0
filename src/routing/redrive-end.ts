/** What a redrive comes to: a pure judgement of its outcome. */

import type { RedriveOutcome } from "../events/events.ts";
import type { DeadLetter } from "../storage/dead-letter-row.ts";
import type { RedriveEnd } from "../storage/dead-letters.ts";
import type { Outcome } from "./outcome.ts";
import { timedAttempts } from "./parking.ts";

export interface RedriveRules {
  /** After so many redrives that failed a letter is poison. */
  maxRedrives: number;
  /** From the first failed redrive to the second; doubled for each further one, up to `maxDelayMs`. */
  firstDelayMs: number;
  maxDelayMs: number;
}

export interface Judged {
  outcome: RedriveOutcome;
  end: RedriveEnd;
  /** How long nothing more is sent to the platform. */
  pauseMs: number;
}

/** Where the plugin was not asked; whether it is ready is looked at besides. An open breaker says how long. */
const unsentPauseMs = 1_000;

/** Until the redrive after `failed` failed ones. */
export const backoffMs = ({ firstDelayMs, maxDelayMs }: RedriveRules, failed: number): number =>
  Math.min(maxDelayMs, firstDelayMs * 2 ** Math.max(0, failed - 1));

/**
 * `sent`: the request was handed to the plugin. What was not sent, or found the plugin too busy to take it, is no redrive
 * and only waits; what was given up in the middle, at the end of the conductor, is sent again only where that does no harm.
 */
export function judgeRedrive(
  letter: DeadLetter,
  outcome: Outcome,
  sent: boolean,
  rules: RedriveRules,
  nowMs: number,
): Judged {
  const attempt = timedAttempts(outcome.attempts, nowMs).at(-1) ?? null;
  const base = { atMs: nowMs, nextAtMs: nowMs, attempt };
  if (outcome.kind === "answered") {
    const reason = `answered by ${outcome.plugin}`;
    const { result } = outcome;
    return {
      outcome: "answered",
      pauseMs: 0,
      end: { ...base, state: "answered", reason, counts: true, result },
    };
  }
  const { code, detail } = outcome;
  if (!sent || code === "plugin-overloaded") {
    const waits = code === "breaker-open" ? (outcome.retryAfterSeconds ?? 1) : 0;
    const pauseMs = Math.max(unsentPauseMs, waits * 1_000);
    const end: RedriveEnd = {
      ...base,
      attempt: null,
      state: "waiting",
      reason: `not sent: ${detail}`,
      counts: false,
    };
    return { outcome: "unsent", pauseMs, end };
  }
  if (code === "client-gone" && !letter.idempotent) {
    const reason =
      "conductor ended while the plugin had it: whether it was carried out is not known, so a person has to redrive or discard it";
    return {
      outcome: "held",
      pauseMs: 0,
      end: { ...base, state: "waiting", reason, counts: true, held: true },
    };
  }
  return failedRedrive(letter, detail, base, rules);
}

function failedRedrive(
  letter: DeadLetter,
  detail: string,
  base: Pick<RedriveEnd, "atMs" | "nextAtMs" | "attempt">,
  rules: RedriveRules,
): Judged {
  const failed = letter.redrives + 1;
  if (failed >= rules.maxRedrives) {
    const reason = `${failed} redrives failed, the last one so: ${detail}`;
    return { outcome: "poison", pauseMs: 0, end: { ...base, state: "poison", reason, counts: true } };
  }
  const nextAtMs = base.atMs + backoffMs(rules, failed);
  const end: RedriveEnd = { ...base, nextAtMs, state: "waiting", reason: detail, counts: true };
  return { outcome: "failed", pauseMs: 0, end };
}
