/** Tells a process that lives on after it closed the way to it, and can never answer again, from one that is just ending. */

import { type Clock, sleep } from "../clock.ts";

/** One that is ending closes everything a moment before its end is seen; so long that may take. */
const endingMs = 250;

/** Calls `goesOn` unless the process has ended soon after now. */
export async function unlessItEnds(
  clock: Clock,
  exited: Promise<unknown>,
  goesOn: () => void,
): Promise<void> {
  const waiting = new AbortController();
  const patience = sleep(clock, endingMs, waiting.signal).then(
    () => true,
    () => false, // It ended first.
  );
  const still = await Promise.race([patience, exited.then(() => false)]);
  waiting.abort();
  if (still) goesOn();
}
