/** A process that lives on after it closed the way to it: nobody can reach it any more, so it is ended. */

import { type Clock, sleep } from "../clock.ts";

/** One that is ending closes everything a moment before its end is seen; so long that may take. */
const endingMs = 250;

export class ClosedChannel {
  /** What it had closed, as in "its stdout", when it was killed for that; null: it was not. */
  killedFor: string | null = null;
  #noticed = false;

  constructor(readonly clock: Clock) {}

  /** It closed `which`: calls `kill` unless it has ended soon after. `kill` says whether it did. */
  async closed(which: string, exited: Promise<unknown>, kill: () => boolean): Promise<void> {
    if (this.#noticed) return;
    this.#noticed = true;
    const waiting = new AbortController();
    const patience = sleep(this.clock, endingMs, waiting.signal).then(
      () => true,
      () => false, // It ended first.
    );
    const goesOn = await Promise.race([patience, exited.then(() => false)]);
    waiting.abort();
    if (goesOn && kill()) this.killedFor = which;
  }
}
