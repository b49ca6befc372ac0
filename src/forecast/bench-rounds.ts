/** Times several operations against each other in interleaved rounds, so that a busy machine slows all alike. */

/** One operation: runs it `count` times. */
export type Pass = (count: number) => void;

/** Nanoseconds an operation: the median over the rounds, and how far the quartiles lie from each other, relative to it. */
export interface RoundsResult {
  readonly medianNs: number;
  readonly spread: number;
  /** By round. */
  readonly rounds: readonly number[];
}

export interface RoundsOptions {
  readonly rounds: number;
  /** Operations a pass; each pass is one measurement. */
  readonly count: number;
  /** Rounds before the first that counts. */
  readonly warmUp: number;
}

/** Runs every pass once a round, in an order that turns with the rounds. */
export function interleave(
  passes: readonly Pass[],
  nowNs: () => number,
  { rounds, count, warmUp }: RoundsOptions,
): RoundsResult[] {
  const measured = passes.map((): number[] => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (let i = 0; i < passes.length; i++) {
      const which = (i + round + warmUp) % passes.length;
      const begin = nowNs();
      passes[which]?.(count);
      const elapsed = nowNs() - begin;
      if (round >= 0) measured[which]?.push(elapsed / count);
    }
  }
  return measured.map(summary);
}

/** The median of the quotients of two operations, round by round. */
export function medianRatio(above: RoundsResult, below: RoundsResult): number {
  return median(above.rounds.map((ns, round) => ns / (below.rounds[round] as number)));
}

function summary(rounds: readonly number[]): RoundsResult {
  const sorted = rounds.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] as number;
  const medianNs = median(rounds);
  return { medianNs, spread: (at(0.75) - at(0.25)) / medianNs, rounds };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2;
}
