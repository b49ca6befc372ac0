/** One running process of a plugin that takes requests, and what it works on. */

import type { Instance } from "./instance.ts";
import type { PluginVersion } from "./plugin-version.ts";

export class Member {
  #inFlight = 0;
  #onIdle: (() => void)[] = [];
  /** Health checks that failed since the last that was answered. */
  failedChecks = 0;

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

  /** Resolves when it works on nothing. */
  idle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }
}

/** The one that works on the fewest requests; of several the first. Null when there is none. */
export function leastBusy(members: readonly Member[]): Member | null {
  let best: Member | null = null;
  for (const member of members) if (best === null || member.inFlight < best.inFlight) best = member;
  return best;
}
