/**
 * How the end's time is divided:
 *
 *   signal ──▶ requests under way are answered ──▶ the plugins end ──▶ the server closes ──▶ all else ──▶ exit
 *              at most 5 s                         what is left of 9 s                       within 10 s
 *
 * The server goes on until the plugins have ended: it refuses new requests by name, and whoever waits for a plugin that was
 * ended before it had answered is told so.
 */

import { type Clock, sleep } from "../clock.ts";
import type { Router } from "../routing/router.ts";

/** From the signal until every process is gone. */
export const endMs = 9_000;
/** Where plugins have less for it. */
const leastDrainMs = 800;
/** A plugin needs the rest to end in order. */
const mostDrainMs = 5_000;
const stepMs = 20;

/** Requests under way have as long as plugins have to finish theirs, as far as the end has time for it. */
export const drainMs = (graceMs: number): number => Math.min(Math.max(graceMs, leastDrainMs), mostDrainMs);

/** Waits until no request is under way, at most `withinMs`. */
export async function drain(router: Pick<Router, "inFlight">, clock: Clock, withinMs: number): Promise<void> {
  const untilMs = clock.monotonicMs() + withinMs;
  while (router.inFlight > 0 && clock.monotonicMs() < untilMs) await sleep(clock, stepMs);
}
