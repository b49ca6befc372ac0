/** Which of several processes of a plugin works on the next request. */

import { answering, leastBusy, type Member } from "./member.ts";

/** hash: the requests of one `key` go to one process while that lives. */
export interface InstanceChoice {
  balance: "least-busy" | "power-of-two" | "round-robin" | "hash";
  /** For hash; without one the least busy is taken. */
  key?: string;
}

/** Chooses among the processes of one plugin; keeps whose turn it is. */
export class Balancer {
  /** Yields 0..1, 1 excluded. */
  readonly #random: () => number;
  /** Slot of the one whose turn it was. */
  #last = -1;

  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * Null when there is none to choose from. Those that do not answer their health checks are passed over while others do,
   * and by all but hash those that have no room: a conversation stays where it is and waits.
   */
  pick(all: readonly Member[], choice: InstanceChoice | undefined): Member | null {
    const members = answering(all);
    const { balance, key } = choice ?? { balance: "least-busy" };
    if (members.length < 2 || balance === "least-busy") return leastBusy(members);
    if (balance === "hash") return key === undefined ? leastBusy(members) : highestWeight(members, key);
    const roomy = members.filter(({ hasRoom }) => hasRoom);
    if (roomy.length < 2) return leastBusy(roomy) ?? leastBusy(members);
    return balance === "round-robin" ? this.#next(roomy) : leastBusy(this.#two(roomy));
  }

  /** The one after the last one chosen, by slots. */
  #next(members: readonly Member[]): Member | null {
    const inOrder = members.toSorted((a, b) => a.slot - b.slot);
    const next = inOrder.find(({ slot }) => slot > this.#last) ?? inOrder[0] ?? null;
    this.#last = next?.slot ?? -1;
    return next;
  }

  /**
   * Two different ones at random: the less busy of them is nearly as good as the least busy of all, and many who choose
   * at once do not all choose the same (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
   */
  #two(members: readonly Member[]): Member[] {
    const first = Math.floor(this.#random() * members.length);
    const second = (first + 1 + Math.floor(this.#random() * (members.length - 1))) % members.length;
    return [members[first], members[second]].filter((member) => member !== undefined);
  }
}

/**
 * Rendezvous hashing (Thaler and Ravishankar): each process has a weight for the key, and the highest has it. One process
 * more takes 1/n of the keys from the others, one fewer gives its own to them, and no other key moves.
 */
function highestWeight(members: readonly Member[], key: string): Member | null {
  const hash = Bun.hash.xxHash32(key);
  let best: Member | null = null;
  let bestWeight = -1;
  for (const member of members) {
    const weight = mixed(hash ^ Math.imul(member.slot + 1, 0x9e3779b1));
    if (weight > bestWeight) [best, bestWeight] = [member, weight];
  }
  return best;
}

/** The finaliser of MurmurHash3: every bit of what comes changes every bit of what goes with a chance of about a half. */
function mixed(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
