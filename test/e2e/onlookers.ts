/** What those who do nothing wrong see of it when one plugin does: their answers, /healthz, conductor's own memory. */

import { pssBytes } from "./processes.ts";
import type { RunningConductor } from "./running-conductor.ts";

export interface Seen {
  asked: number;
  /** Answers that were not 200, or came from a fallback. */
  wrong: number;
  p99Ms: number;
  healthzSlowestMs: number;
  /** Proportional set size of conductor, at most. */
  largestBytes: number;
}

/** Between requests to a platform: short until there are enough for a p99, then too long to be a load. */
const pauseMs = 2;
const laterPauseMs = 10;

const at = (share: number, values: number[]): number =>
  values.sort((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;

async function everyMs(ms: () => number, goesOn: () => boolean, run: () => Promise<void>): Promise<void> {
  do {
    await run();
    await Bun.sleep(ms());
  } while (goesOn());
}

/** Asks each of `platforms` at least `least` times, and until `fault` is over. */
export async function onlook(
  conductor: RunningConductor,
  platforms: readonly string[],
  least: number,
  fault: Promise<unknown> = Promise.resolve(),
): Promise<Seen> {
  let over = false;
  const ended = fault.then(
    () => {
      over = true;
    },
    () => {
      over = true; // The row itself awaits it, and fails.
    },
  );
  const answersMs: number[] = [];
  let wrong = 0;
  const asking = platforms.map((platform) => {
    let asked = 0;
    return everyMs(
      () => (asked < least ? pauseMs : laterPauseMs),
      () => !over || asked < least,
      async () => {
        const beganMs = performance.now();
        const { status, body } = await conductor.request(platform, asked++);
        answersMs.push(performance.now() - beganMs);
        if (status !== 200 || body.degraded !== false) wrong++;
      },
    );
  });
  const asked = Promise.all(asking);
  let done = false;
  void asked.finally(() => {
    done = true;
  });
  let healthzSlowestMs = 0;
  let largestBytes = 0;
  const watching = everyMs(
    () => 25,
    () => !done,
    async () => {
      const beganMs = performance.now();
      const response = await fetch(conductor.url("/healthz"));
      await response.text();
      const tookMs = response.status === 200 ? performance.now() - beganMs : Number.POSITIVE_INFINITY;
      healthzSlowestMs = Math.max(healthzSlowestMs, tookMs);
      largestBytes = Math.max(largestBytes, pssBytes(conductor.pid));
    },
  );
  await Promise.all([asked, watching, ended]);
  return { asked: answersMs.length, wrong, p99Ms: at(0.99, answersMs), healthzSlowestMs, largestBytes };
}
