/** What a check of the contract finds. */

import type { Clock } from "../../clock.ts";
import type { CallFailure, CallResult } from "../transport.ts";

export interface Verdict {
  outcome: "ok" | "failed" | "skipped";
  /** One line for a person: what was seen, or why not. */
  detail: string;
  /** What was measured, for programs; units in the keys. */
  measured?: Readonly<Record<string, number | null>>;
}

export interface CheckResult extends Verdict {
  /** Stable, for programs: `unknown-method`. */
  name: string;
  durationMs: number;
}

export const ok = (detail: string, measured?: Verdict["measured"]): Verdict => ({
  outcome: "ok",
  detail,
  ...(measured === undefined ? {} : { measured }),
});
export const fail = (detail: string): Verdict => ({ outcome: "failed", detail });
export const skip = (detail: string): Verdict => ({ outcome: "skipped", detail });

/** Runs checks one after the other and tells each result as soon as it is there. */
export class Ledger {
  readonly results: CheckResult[] = [];

  constructor(
    readonly clock: Clock,
    readonly onResult: (result: CheckResult) => void,
    /** Aborted, the checks that remain are skipped. */
    readonly signal: AbortSignal,
  ) {}

  /** A check that throws has failed, with what it threw. */
  async check(name: string, run: () => Verdict | Promise<Verdict>): Promise<Verdict["outcome"]> {
    const startMs = this.clock.monotonicMs();
    let verdict: Verdict;
    try {
      verdict = this.signal.aborted ? skip("interrupted") : await run();
    } catch (error) {
      verdict = fail(error instanceof Error ? error.message : String(error));
    }
    const result = { name, ...verdict, durationMs: Math.round(this.clock.monotonicMs() - startMs) };
    this.results.push(result);
    this.onResult(result);
    return verdict.outcome;
  }

  /** The same for all of `names`: not run, because of something else. */
  async skipAll(names: readonly string[], because: string): Promise<void> {
    for (const name of names) await this.check(name, () => skip(because));
  }
}

/** With what stands before it, a line of 100 columns. */
const longestShownCharacters = 64;

/** A JSON value as a line may show it. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > longestShownCharacters ? `${text.slice(0, longestShownCharacters - 1)}…` : text;
}

/** Whether a call was answered in the right shape: a result, or an error that the plugin gave. */
export const isAnswered = (result: CallResult<unknown>): boolean =>
  result.ok || result.kind === "plugin-error";

/** An answered call in words. */
export const answerText = (result: CallResult<unknown>): string =>
  result.ok ? `answered ${shown(result.value)}` : `answered with an error: ${result.message.slice(0, 200)}`;

/** A call that had no answer, in words. */
export const failureText = ({ kind, message }: CallFailure): string => `${kind}: ${message}`;
