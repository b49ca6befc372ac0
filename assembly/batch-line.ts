/** The line of two series at a time; `src/forecast/js-batch.ts` does the same operations in the same order. */
import {
  BASE,
  HALF_WIDTH,
  MOMENT,
  PEAK,
  SLOPE,
  SLOPE_PER_SECOND,
  SMOOTHED,
  SQUARES,
  SUM,
  VALUE,
} from "./batch-layout";

const MAX_MAGNITUDE: f64 = 1e100;
/** How many times the sum of squared residuals the squares may have been before the sums have lost too much. */
const MOST_LOSS: f64 = 32;

/** Each function is inlined: a call costs more than it does. The coefficients are handed over in registers. */
export class Lanes {
  /** Which of two values are finite and not too large. */
  @inline static inside(values: usize): v128 {
    const magnitudes = v128.and(v128.load(values), i64x2.splat(i64.MAX_VALUE));
    return f64x2.le(magnitudes, f64x2.splat(MAX_MAGNITUDE));
  }

  /** Whether the eight values are finite and not too large. */
  @inline static good(values: usize): bool {
    const low = v128.and(Lanes.inside(values), Lanes.inside(values + 16));
    const high = v128.and(Lanes.inside(values + 32), Lanes.inside(values + 48));
    return i64x2.bitmask(v128.and(low, high)) === 3;
  }

  /** Takes two new values into the sums, and the old ones out of them. */
  @inline static slide(
    newTime: v128,
    oldTime: v128,
    values: usize,
    old: usize,
    place: usize,
    state: usize,
  ): void {
    const value = v128.load(values);
    const leaving = v128.load(old);
    v128.store(place, value);
    const base = v128.load(state, BASE);
    const slope = v128.load(state, SLOPE);
    const into = f64x2.sub(f64x2.sub(value, base), f64x2.mul(slope, newTime));
    const out = f64x2.sub(f64x2.sub(leaving, base), f64x2.mul(slope, oldTime));
    const change = f64x2.sub(into, out);
    const turn = f64x2.sub(f64x2.mul(newTime, into), f64x2.mul(oldTime, out));
    const grown = f64x2.mul(change, f64x2.add(into, out));
    v128.store(state, f64x2.add(v128.load(state, SUM), change), SUM);
    v128.store(state, f64x2.add(v128.load(state, MOMENT), turn), MOMENT);
    v128.store(state, f64x2.add(v128.load(state, SQUARES), grown), SQUARES);
  }

  /** Writes the line of the sums, and the sum of squared residuals; answers which of the two kept their digits. */
  @inline static fit(
    inverse: v128,
    meanTime: v128,
    inverseSxx: v128,
    fromMean: v128,
    targetTime: v128,
    state: usize,
  ): v128 {
    const sum = v128.load(state, SUM);
    const squares = v128.load(state, SQUARES);
    const slope = v128.load(state, SLOPE);
    const peak = f64x2.pmax(v128.load(state, PEAK), squares);
    const mean = f64x2.mul(sum, inverse);
    const across = f64x2.sub(v128.load(state, MOMENT), f64x2.mul(sum, meanTime));
    const tilt = f64x2.mul(across, inverseSxx);
    const rest = f64x2.sub(squares, f64x2.add(f64x2.mul(mean, sum), f64x2.mul(tilt, across)));
    const ahead = f64x2.add(mean, f64x2.mul(tilt, fromMean));
    v128.store(state, peak, PEAK);
    v128.store(
      state,
      f64x2.add(v128.load(state, BASE), f64x2.add(f64x2.mul(slope, targetTime), ahead)),
      VALUE,
    );
    v128.store(state, rest, HALF_WIDTH);
    v128.store(state, f64x2.add(slope, tilt), SLOPE_PER_SECOND);
    return Lanes.kept(rest, peak);
  }

  /** Which sums have digits enough; none that are no numbers. */
  @inline static kept(rest: v128, peak: v128): v128 {
    return f64x2.ge(f64x2.mul(rest, f64x2.splat(MOST_LOSS)), peak);
  }

  /** The average and the interval. */
  @inline static finish(width: v128, alpha: v128, kept: v128, state: usize): void {
    const rest = f64x2.pmax(f64x2.splat(0), v128.load(state, HALF_WIDTH));
    const last = f64x2.mul(kept, v128.load(state, SMOOTHED));
    v128.store(state, f64x2.add(f64x2.mul(alpha, v128.load(state, VALUE)), last), SMOOTHED);
    v128.store(state, f64x2.sqrt(f64x2.mul(rest, width)), HALF_WIDTH);
  }
}
