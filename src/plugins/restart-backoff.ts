/** When to start a plugin again that ended by itself, and when to give up. Pure: time and chance are arguments. */

export interface RestartPolicy {
  backoff: { initial: number; max: number };
  maxRestarts: { count: number; windowMs: number };
  /** Milliseconds. Having run for so long, it starts over with the shortest wait. */
  stable: number;
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
  /** Restarts since it last ran for long enough. */
  #inARow = 0;

  /** `random` yields 0..1. */
  constructor(
    readonly policy: RestartPolicy,
    readonly random: () => number,
  ) {}

  /**
   * Counts a restart at `nowMs` and says how long to wait before it: `initial`, doubled for each one since it last ran for
   * `stable`. `ranMs` is how long it ran this time; 0 when it did not start. The window counts them all.
   */
  next(nowMs: number, ranMs: number): NextRestart {
    const { backoff, maxRestarts, stable } = this.policy;

    this.#restartsMs = this.#restartsMs.filter((atMs) => nowMs - atMs < maxRestarts.windowMs);
    const before = this.#restartsMs.length;
    if (before === 0 || ranMs >= stable) this.#inARow = 0;
    if (before >= maxRestarts.count) return { kind: "crash-loop", restarts: before };
    this.#restartsMs.push(nowMs);
    const plainMs = Math.min(backoff.max, backoff.initial * 2 ** Math.min(this.#inARow++, 30));
    return { kind: "wait", delayMs: plainMs * (1 + jitterRatio * (2 * this.random() - 1)) };
  }

  /** Forgets: a person started it. */
  reset(): void {
    this.#restartsMs = [];
    this.#inARow = 0;
  }
}
