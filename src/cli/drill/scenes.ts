/** What the hog does in each drill, in shares of the small conductor's budget. Pure. */

import type { HogStep } from "./hog.ts";

export const sceneNames = ["leak", "step", "burst", "sawtooth"] as const;
export type SceneName = (typeof sceneNames)[number];

/** Sizes of one drill, in bytes. */
export interface Sizes {
  /** What the hog holds at most. */
  hogBytes: number;
  /** What everything else holds, as measured. */
  restBytes: number;
  budgetBytes: number;
  /** The hard limit of the drill's cgroup: what goes wrong in it, goes wrong in it alone. */
  limitBytes: number;
}

/** All that the hog may take brings the use to this share of the budget: over every emergency line. */
const mostRatio = 1.04;
/** What rests must leave room to restore in: `mission` restores under 65 %. */
const mostRestRatio = 0.6;
/** Held when nothing is asked of it. */
export const restingHogBytes = 2 ** 20;

export function sizesFor(hogBytes: number, restBytes: number): Sizes {
  const budgetBytes = Math.floor((restBytes + hogBytes) / mostRatio);
  return { hogBytes, restBytes, budgetBytes, limitBytes: Math.ceil(1.6 * budgetBytes) };
}

/** The least size of the hog beside which what rests leaves room to restore. */
export const leastHogBytes = (restBytes: number): number =>
  Math.ceil((restBytes * mostRatio) / mostRestRatio) - restBytes;

/** One sentence for a person, and the steps of the hog from its rest on. */
export interface Scene {
  name: SceneName;
  what: string;
  steps: readonly HogStep[];
}

export function sceneOf(name: SceneName, { hogBytes, restBytes, budgetBytes }: Sizes): Scene {
  /** What the hog holds when `ratio` of the budget is in use. */
  const at = (ratio: number): number =>
    Math.round(Math.min(hogBytes, Math.max(restingHogBytes, ratio * budgetBytes - restBytes)));
  const full = hogBytes;
  const scenes: Record<SceneName, Omit<Scene, "name">> = {
    leak: {
      what: "memory is taken evenly over 6 s",
      steps: [{ bytes: full, afterMs: 6_000 }],
    },
    step: {
      what: "40 % of the budget within 300 ms",
      steps: [
        { bytes: at(0.62), afterMs: 1_000 },
        { bytes: at(0.62), afterMs: 1_000 },
        { bytes: at(1.02), afterMs: 300 },
      ],
    },
    burst: {
      what: "all of it at once",
      steps: [{ bytes: full, afterMs: 0 }],
    },
    sawtooth: {
      what: "up and down below the line twice, then over it",
      steps: [
        { bytes: at(0.72), afterMs: 800 },
        { bytes: restingHogBytes, afterMs: 400 },
        { bytes: at(0.74), afterMs: 800 },
        { bytes: restingHogBytes, afterMs: 400 },
        { bytes: full, afterMs: 800 },
      ],
    },
  };
  return { name, ...scenes[name] };
}
