/** Sources that failed: counted each time, logged when they begin to fail and when they answer again. */

import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";

export class Gaps {
  readonly #counts = new Map<string, number>();
  readonly #failing = new Set<string>();

  constructor(
    private readonly log: Log,
    private readonly publisher: Publisher,
    private readonly onGap: (source: string) => void,
  ) {}

  /** Failed reads by source, since the start. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /** What `read` yields; null, and noted, when it throws or yields null. */
  attempt<T>(source: string, read: () => T | null): T | null {
    let error = "holds nothing that can be read";
    try {
      const value = read();
      if (value !== null) {
        this.#recovered(source);
        return value;
      }
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
    }
    this.#failed(source, error);
    return null;
  }

  #failed(source: string, error: string): void {
    this.#counts.set(source, (this.#counts.get(source) ?? 0) + 1);
    this.onGap(source);
    if (this.#failing.has(source)) return;
    this.#failing.add(source);
    this.log.warn("monitor.gap", { source, error });
    this.publisher.publish("monitor.gap", { source, error });
  }

  #recovered(source: string): void {
    if (this.#failing.delete(source)) this.log.info("monitor.recovered", { source });
  }
}
