/** Who goes: the plan that brings the use under the target, one victim after the other. Pure. */

import { dependentsFirst } from "./dependents.ts";
import { shedTarget } from "./latest-line.ts";
import { holdsMemory, neverShed } from "./order.ts";
import type { Plan, PluginFacts, Policy, Situation, VictimChoice } from "./situation.ts";

export interface Victims {
  /** Null: nothing is left to shed. */
  first: PluginFacts | null;
  /** It and those that require it, each before what it requires. */
  group: readonly PluginFacts[];
  kept: ReadonlySet<PluginFacts>;
  /** What made it the first, for the sentence after its name. */
  because: string;
  plan: Plan;
}

/** The culprit is looked for among so many, from the first of the order on. */
const culpritBand = 3;
/** It explains the rise when it makes at least half of it. */
const culpritShare = 0.5;
/** `spare` frees what will be needed in the next seconds too, so that the next victim is not due at once. */
const spareSeconds = 2;
const mostSpareRatio = 0.25;

const bytesOf = (plugins: readonly PluginFacts[], of: (plugin: PluginFacts) => number): number =>
  plugins.reduce((sum, plugin) => sum + of(plugin), 0);

const heldBytes = ({ footprintBytes }: PluginFacts): number => footprintBytes ?? 0;
/** What grows by less than this share of itself in a second is as large as it usually is. */
const steadyRatio = 0.01;

/** What is free for longer: it comes back with what it takes to start, and one that does not grow soon with what it usually holds. */
function freedForGood({ footprintBytes, startBytes, learnedBytes, growthPerSecond }: PluginFacts): number {
  const held = footprintBytes ?? 0;
  const start = startBytes ?? 0;
  const grows = (growthPerSecond ?? 0) > steadyRatio * held;
  return Math.max(0, held - (grows ? start : Math.max(start, learnedBytes ?? 0)));
}

/** Who goes first, and who after it if that is not enough. `order` is the degradation order. */
export function planFor(order: readonly PluginFacts[], situation: Situation, policy: Policy): Victims {
  const kept = neverShed(order);
  const candidates = order.filter((plugin) => holdsMemory(plugin) && !kept.has(plugin));
  const targetRatio = shedTarget(situation, policy);
  const [sequence, because] = sequences[policy.victims ?? "order"]({
    order,
    candidates,
    situation,
    targetRatio,
  });
  const steps = stepsOf(sequence, order, situation, targetRatio);
  const first = sequence[0] ?? null;
  return {
    first,
    group: first ? groupOf(first, order) : [],
    kept,
    because,
    plan: { targetRatio, steps },
  };
}

const groupOf = (victim: PluginFacts, order: readonly PluginFacts[]): PluginFacts[] =>
  dependentsFirst([victim], order).filter(holdsMemory);

interface Choosing {
  order: readonly PluginFacts[];
  /** Who may go, the first of the order first. */
  candidates: readonly PluginFacts[];
  situation: Situation;
  targetRatio: number;
}

type Chosen = [sequence: readonly PluginFacts[], because: string];

const inOrder = "is the first in the degradation order";

const sequences: Record<VictimChoice, (choosing: Choosing) => Chosen> = {
  order: ({ candidates }) => [candidates, inOrder],
  largest: ({ candidates }) => [
    candidates.toSorted((a, b) => heldBytes(b) - heldBytes(a)),
    "holds most of those that may go",
  ],
  culprit: ({ candidates, situation }) => {
    const growth = (plugin: PluginFacts) => plugin.growthPerSecond ?? 0;
    const [culprit] = candidates.slice(0, culpritBand).toSorted((a, b) => growth(b) - growth(a));
    const total = situation.growthPerSecond ?? 0;
    if (!culprit || total <= 0 || growth(culprit) < culpritShare * total) return [candidates, inOrder];
    return [[culprit, ...candidates.filter((each) => each !== culprit)], "explains the rise"];
  },
  spare,
};

/**
 * As few and as unimportant as free enough: the shortest prefix of the order whose memory suffices, without those of it
 * whose memory is not needed, the more important first. First by what is free for good; where nobody frees enough of that,
 * by all that they hold, for they then stay away.
 */
function spare({ order, candidates, situation, targetRatio }: Choosing): Chosen {
  const { usedBytes, budgetBytes } = situation.measured;
  const soon = Math.min(mostSpareRatio * budgetBytes, spareSeconds * (situation.growthPerSecond ?? 0));
  const needs = [usedBytes + soon - targetRatio * budgetBytes, usedBytes - targetRatio * budgetBytes];
  for (const [of, because] of [
    [freedForGood, "is the least important that frees enough"],
    [heldBytes, "is the least important that holds enough"],
  ] as const)
    for (const need of needs) {
      const group = (plugins: readonly PluginFacts[]) =>
        bytesOf(dependentsFirst(plugins, order).filter(holdsMemory), of);
      const length = candidates.findIndex((_, index) => group(candidates.slice(0, index + 1)) >= need);
      if (length < 0) continue;
      let chosen: readonly PluginFacts[] = candidates.slice(0, length + 1);
      for (const plugin of chosen.toReversed()) {
        const without = chosen.filter((each) => each !== plugin);
        if (without.length > 0 && group(without) >= need) chosen = without;
      }
      // The one that frees most first: it may be enough, for memory is measured after each.
      const sequence = chosen.toSorted((a, b) => of(b) - of(a));
      return [sequence, sequence[0] === candidates[0] ? inOrder : because];
    }
  return [candidates, inOrder];
}

/** The steps until the projected use is under the target. What is not known counts as nothing. */
function stepsOf(
  sequence: readonly PluginFacts[],
  order: readonly PluginFacts[],
  { measured }: Situation,
  targetRatio: number,
): Plan["steps"] {
  const gone = new Set<PluginFacts>();
  const steps: { plugin: string; bytes: number | null; afterRatio: number }[] = [];
  let usedBytes = measured.usedBytes;
  for (const victim of sequence) {
    if (gone.has(victim)) continue;
    if (steps.length > 0 && usedBytes / measured.budgetBytes < targetRatio) break;
    const group = groupOf(victim, order).filter((each) => !gone.has(each));
    for (const each of group) gone.add(each);
    const known = group.some(({ footprintBytes }) => footprintBytes !== null);
    const bytes = bytesOf(group, heldBytes);
    usedBytes -= bytes;
    steps.push({
      plugin: victim.name,
      bytes: known ? bytes : null,
      afterRatio: Math.max(0, usedBytes / measured.budgetBytes),
    });
  }
  return steps;
}
