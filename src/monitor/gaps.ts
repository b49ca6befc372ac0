/** Sources that failed: counted each time, logged when they begin to fail and when they answer again. */

import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";

/** Sources are a fixed handful of names, so what is kept for each is bounded. */
export class Gaps {
  readonly #counts = new Map<string, number>();
  readonly #failing = new Set<string>();

  /** `onGap` is called for each failed read, for the metrics. */
  constructor(
    private readonly log: Log,
    private readonly publisher: Publisher,
    private readonly onGap: (source: string) => void,
  ) {}

  /** Failed reads by source, since the start. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /** Failed reads of all sources, since the start. */
  total(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
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

  /** Hands on what was measured; a receiver that throws is logged and does not end the collection. */
  deliver(receiver: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.log.error("monitor.receiver_failed", { receiver, error });
    }
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
