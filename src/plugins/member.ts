/** One running process of a plugin that takes requests, and what it works on. */

import type { Instance } from "./instance.ts";
import type { PluginVersion } from "./plugin-version.ts";

export class Member {
  #inFlight = 0;
  /** When the first of the checks in a row that it did not answer was given up. */
  #silentSinceMs: number | null = null;
  #onIdle: (() => void)[] = [];

  constructor(
    readonly instance: Instance,
    readonly version: PluginVersion,
    /** Monotonic milliseconds. */
    readonly readyAtMs: number,
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
      if (this.#inFlight === 0) for (const run of this.#onIdle.splice(0)) run();
    };
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

/**
 * The one that works on the fewest requests, of those that answer their health checks where any does; of several the
 * first. Null when there is none.
 */
export function leastBusy(members: readonly Member[]): Member | null {
  const best = (some: readonly Member[]) =>
    some.reduce<Member | null>(
      (least, each) => (least && least.inFlight <= each.inFlight ? least : each),
      null,
    );
  return best(members.filter(({ silent }) => !silent)) ?? best(members);
}
