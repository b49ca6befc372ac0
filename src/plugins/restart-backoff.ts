/** When to start a plugin again that ended by itself, and when to give up. Pure: time and chance are arguments. */

export interface RestartPolicy {
  backoff: { initial: number; max: number };
  maxRestarts: { count: number; windowMs: number };
}

export type NextRestart =
  | { kind: "wait"; delayMs: number }
  /** So many restarts in the window already. */
  | { kind: "crash-loop"; restarts: number };

/** The delay varies by this share up and down, so that plugins that fell together do not rise together. */
const jitterRatio = 0.2;

export class RestartBackoff {
  /** Times of the restarts inside the window, oldest first; at most `maxRestarts.count`. */
  #restartsMs: number[] = [];

  /** `random` yields 0..1. */
  constructor(
    readonly policy: RestartPolicy,
    readonly random: () => number,
  ) {}

  /** Counts a restart at `nowMs` and says how long to wait before it: `initial` doubled for each one in the window. */
  next(nowMs: number): NextRestart {
    const { backoff, maxRestarts } = this.policy;
    this.#restartsMs = this.#restartsMs.filter((atMs) => nowMs - atMs < maxRestarts.windowMs);
    const before = this.#restartsMs.length;
    if (before >= maxRestarts.count) return { kind: "crash-loop", restarts: before };
    this.#restartsMs.push(nowMs);
    const plainMs = Math.min(backoff.max, backoff.initial * 2 ** Math.min(before, 30));
    return { kind: "wait", delayMs: plainMs * (1 + jitterRatio * (2 * this.random() - 1)) };
  }

  /** Forgets: a person started it. */
  reset(): void {
    this.#restartsMs = [];
  }
}
