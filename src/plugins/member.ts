/** One running process of a plugin that takes requests, and what it works on. */

import type { Instance } from "./instance.ts";
import type { PluginVersion } from "./plugin-version.ts";

export class Member {
  #inFlight = 0;
  /** When the first of the checks in a row that it did not answer was given up. */
  #silentSinceMs: number | null = null;
  #onIdle: (() => void)[] = [];
  readonly #onEnd = new Set<() => void>();
  /** Health checks that failed since the last that was answered. */
  failedChecks = 0;

  constructor(
    readonly instance: Instance,
    readonly version: PluginVersion,
    /** Monotonic milliseconds. */
    readonly readyAtMs: number,
    /** Its place among those that take requests: the smallest that was free. One that is started anew gets it again. */
    readonly slot: number,
  ) {}

  /** Requests that it works on. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Counts a request until the returned function is called; calling that twice is harmless. */
  begin(): () => void {
    this.#inFlight++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#inFlight--;
      for (const run of [...this.#onEnd]) run();
      if (this.#inFlight === 0) for (const run of this.#onIdle.splice(0)) run();
    };
  }

  /** It may be given one request more (limits.concurrency). */
  get hasRoom(): boolean {
    return this.#inFlight < this.version.manifest.limits.concurrency;
  }

  /** Calls `run` each time a request ended, until the returned function is called. */
  onEnd(run: () => void): () => void {
    this.#onEnd.add(run);
    return () => this.#onEnd.delete(run);
  }

  /** It did not answer its last health check. */
  get silent(): boolean {
    return this.#silentSinceMs !== null;
  }

  /** Keeps what came of a health check at `nowMs` (monotonic), and yields since how long it has answered none. */
  checked(answered: boolean, nowMs: number): number {
    this.#silentSinceMs = answered ? null : (this.#silentSinceMs ?? nowMs);
    return this.#silentSinceMs === null ? 0 : nowMs - this.#silentSinceMs;
  }

  /** Resolves when it works on nothing. */
  idle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }
}

/** Those that answer their health checks; all of them when none does. */
export function answering(members: readonly Member[]): readonly Member[] {
  const some = members.filter(({ silent }) => !silent);
  return some.length > 0 ? some : members;
}

/** The one that works on the fewest requests, of several the first; null when there is none. */
export function leastBusy(members: readonly Member[]): Member | null {
  return members.reduce<Member | null>(
    (least, each) => (least && least.inFlight <= each.inFlight ? least : each),
    null,
  );
}
