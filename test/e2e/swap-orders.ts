/** Swaps of the counted plugin on a running conductor: how each was ordered, how long it took, what came of it. */

import { join } from "node:path";
import { type CountedVersion, writeCounted } from "./counted-plugin.ts";
import { epochMs } from "./open-loop.ts";
import { type RunningConductor, until } from "./running-conductor.ts";

/** The watcher waits so long for a burst of changes to end. */
const quietMs = 300;

export interface Swap {
  how: "written" | "reload" | "rollback" | "started";
  from: string;
  to: string;
  outcome: string;
  reason: string;
  /** Milliseconds since the epoch: when it was ordered, or the watcher's quiet time was over; when the old one was gone. */
  beganMs: number;
  endedMs: number;
}

export class SwapOrders {
  readonly done: Swap[] = [];
  readonly #conductor: RunningConductor;
  /** Swaps that were logged, so far. */
  #seen = 0;

  constructor(conductor: RunningConductor) {
    this.#conductor = conductor;
  }

  /** Writes the version into the folder; the watcher does the rest. */
  written(of: CountedVersion): Promise<Swap> {
    writeCounted(this.#folder, of);
    return this.#next("written", epochMs() + quietMs);
  }

  /** Writes the version and has it reloaded at once, before the watcher acts. */
  reload(of: CountedVersion): Promise<Swap> {
    writeCounted(this.#folder, of);
    return this.#ordered("reload");
  }

  rollback(): Promise<Swap> {
    return this.#ordered("rollback");
  }

  get #folder(): string {
    return join(this.#conductor.folder, "plugins/bot");
  }

  /** The watcher may have been faster on a busy machine: then the order swaps once more, and that is the one that counts. */
  async #ordered(how: "reload" | "rollback"): Promise<Swap> {
    const headers = { Authorization: `Bearer ${this.#conductor.token}` };
    const beganMs = epochMs();
    const { status } = await this.#conductor.post(`/api/v1/plugins/bot/${how}`, {}, headers);
    const swap = await this.#next(how, beganMs);
    if ((status === 200) !== (swap.outcome !== "kept_old"))
      throw new Error(`${how} answered ${status} after ${swap.outcome}: ${swap.reason}`);
    return swap;
  }

  async #next(how: Swap["how"], beganMs: number): Promise<Swap> {
    const line = await until(`swap ${this.#seen + 1}`, 20_000, () => {
      const lines = this.#conductor.logged("plugin.swapped");
      if (lines.length === this.#seen) return null;
      this.#seen = lines.length;
      return lines.at(-1);
    });
    const { from, to, outcome, reason, time } = line as Record<string, string>;
    const swap = { how, from, to, outcome, reason, beganMs, endedMs: Date.parse(time ?? "") } as Swap;
    this.done.push(swap);
    return swap;
  }
}
