/** Recorded memory cut where it has gaps: nothing is known of a gap, so nothing is made up for it. */

/** From index `from` up to, not including, `to`. */
export interface Stretch {
  from: number;
  to: number;
}

export interface Cut {
  stretches: Stretch[];
  /** Breaks between neighbours. */
  gaps: number;
  /** Stretches left out since they are too short to tell anything. */
  short: number;
}

/** Points further apart than so many usual steps have a gap between them. */
const gapSteps = 5;
/** A shorter stretch is over before a forecast is warm. */
const leastMs = 600_000;

/** Cuts rising times (milliseconds) at gaps and where `breaks` says so of a point and the one before. */
export function stretchesOf(atMs: Float64Array, breaks: (index: number) => boolean = () => false): Cut {
  const most = gapSteps * usualStepMs(atMs);
  const stretches: Stretch[] = [];
  let [from, gaps, short] = [0, 0, 0];
  const end = (to: number) => {
    const spanMs = (atMs[to - 1] ?? 0) - (atMs[from] ?? 0);
    if (to > from && spanMs >= leastMs) stretches.push({ from, to });
    else if (to > from) short++;
    from = to;
  };
  for (let i = 1; i < atMs.length; i++) {
    if ((atMs[i] as number) - (atMs[i - 1] as number) <= most && !breaks(i)) continue;
    gaps++;
    end(i);
  }
  end(atMs.length);
  return { stretches, gaps, short };
}

/** The median step; Infinity with fewer than two points. */
function usualStepMs(atMs: Float64Array): number {
  if (atMs.length < 2) return Number.POSITIVE_INFINITY;
  const steps = new Float64Array(atMs.length - 1);
  for (let i = 1; i < atMs.length; i++) steps[i - 1] = (atMs[i] as number) - (atMs[i - 1] as number);
  return steps.sort()[steps.length >> 1] as number;
}
