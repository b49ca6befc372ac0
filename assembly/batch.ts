/**
 * A tick of a batch: two series in each operation, eight in a block. `src/forecast/js-batch.ts` does the same operations
 * in the same order and says what they are: change both or neither.
 */
import {
  AHEAD,
  ALPHA,
  APART,
  BACK_SHARE,
  BLOCK_BYTES,
  COEFFICIENT_BYTES,
  COEFFICIENTS,
  END_BLOCK,
  FIRST_BLOCK,
  FLAGS,
  FRONT_SHARE,
  FRONT_WEIGHT,
  GROUP_BYTES,
  GROUP_TABLE,
  GROUPS,
  HALF_WIDTH,
  INPUT,
  INVERSE,
  KEPT,
  LINE_BYTES,
  MARKED,
  MARKS,
  MEAN,
  MEANS_REST,
  NEW_ROW,
  ORIGIN,
  REST,
  REST_GAIN,
  SAVED,
  SCRATCH,
  SLOPE,
  SLOPE_GAIN,
  SLOPE_PER_SECOND,
  SLOPE_PULL,
  SLOPES_REST,
  SMOOTHED,
  STATE,
  STEP,
  SUFFIX_BYTES,
  SUFFIX_ROW,
  TURNS,
  VALUE,
  WIDTH,
} from "./batch-layout";
import { turnGroup } from "./batch-turn";

const MAX_MAGNITUDE: f64 = 1e100;
const PAGE_BYTES: usize = 65536;

/** Reserves the memory of a batch, once: `bytes` from address 0. False when it cannot be had. */
export function reserveBatch(bytes: usize): bool {
  const pages = <i32>((bytes + PAGE_BYTES - 1) / PAGE_BYTES);
  const missing = pages - memory.size();
  return missing <= 0 || memory.grow(missing) >= 0;
}

/** Takes the values at `INPUT`. Answers how many blocks are marked for the host to look at. */
export function tick(): i32 {
  store<i32>(MARKED, 0);
  const groups = load<i32>(GROUPS);
  for (let group = 0; group < groups; group++) {
    const row = <usize>load<i32>(GROUP_TABLE) + <usize>group * GROUP_BYTES;
    const first = load<i32>(row, FIRST_BLOCK);
    const end = load<i32>(row, END_BLOCK);
    if (load<i32>(row, TURNS) !== 0) turnGroup(first, end);
    const coefficients = <usize>load<i32>(COEFFICIENTS) + <usize>group * COEFFICIENT_BYTES;
    updateGroup(coefficients, first, end, <usize>load<i32>(row, SUFFIX_ROW));
  }
  return load<i32>(MARKED);
}

function updateGroup(coefficients: usize, first: i32, end: i32, suffixRow: usize): void {
  const input = <usize>load<i32>(INPUT);
  const ring = <usize>load<i32>(NEW_ROW);
  const flags = <usize>load<i32>(FLAGS);
  let state = <usize>load<i32>(STATE) + <usize>first * BLOCK_BYTES;
  let suffix = suffixRow + <usize>first * SUFFIX_BYTES;
  for (let block = <usize>first; block < <usize>end; block++) {
    let values = input + block * LINE_BYTES;
    if (!Lanes.good(values) || load<i32>(flags + (block << 2)) !== 0) values = mark(block, state, values);
    const place = ring + block * LINE_BYTES;
    // In two rounds of four: the processor then finds enough that does not wait for anything.
    Lanes.extend(coefficients, values, place, state);
    Lanes.extend(coefficients, values + 16, place + 16, state + 16);
    Lanes.extend(coefficients, values + 32, place + 32, state + 32);
    Lanes.extend(coefficients, values + 48, place + 48, state + 48);
    Lanes.forecast(coefficients, state, suffix);
    Lanes.forecast(coefficients, state + 16, suffix + 16);
    Lanes.forecast(coefficients, state + 32, suffix + 32);
    Lanes.forecast(coefficients, state + 48, suffix + 48);
    state += BLOCK_BYTES;
    suffix += SUFFIX_BYTES;
  }
}

/** Notes the block, keeps its outputs as they are, and answers where its values are with the bad ones replaced. */
function mark(block: usize, state: usize, values: usize): usize {
  const marked = <usize>load<i32>(MARKED);
  store<i32>(<usize>load<i32>(MARKS) + (marked << 2), <i32>block);
  store<i32>(MARKED, <i32>marked + 1);
  memory.copy(<usize>load<i32>(SAVED) + marked * (BLOCK_BYTES - VALUE), state + VALUE, BLOCK_BYTES - VALUE);
  const scratch = <usize>load<i32>(SCRATCH);
  for (let lane: usize = 0; lane < LINE_BYTES; lane += 8) {
    const value = load<f64>(values + lane);
    store<f64>(scratch + lane, abs(value) <= MAX_MAGNITUDE ? value : load<f64>(state + lane, ORIGIN));
  }
  return scratch;
}

/** Each function is inlined: a call costs more than it does. */
class Lanes {
  @inline static inside(values: usize): v128 {
    return f64x2.le(f64x2.abs(v128.load(values)), f64x2.splat(MAX_MAGNITUDE));
  }

  /** Whether the eight values are finite and not too large. */
  @inline static good(values: usize): bool {
    const low = v128.and(Lanes.inside(values), Lanes.inside(values + 16));
    const high = v128.and(Lanes.inside(values + 32), Lanes.inside(values + 48));
    return i64x2.all_true(v128.and(low, high));
  }

  /** Adds two values to their back. */
  @inline static extend(c: usize, values: usize, place: usize, state: usize): void {
    const value = v128.load(values);
    v128.store(place, value);
    const wasMean = v128.load(state, MEAN);
    const wasSlope = v128.load(state, SLOPE);
    const from = f64x2.sub(f64x2.sub(value, v128.load(state, ORIGIN)), wasMean);
    const error = f64x2.sub(from, f64x2.mul(wasSlope, v128.load(c, STEP)));
    const gain = f64x2.mul(error, f64x2.mul(error, v128.load(c, REST_GAIN)));
    v128.store(state, f64x2.add(wasMean, f64x2.mul(from, v128.load(c, INVERSE))), MEAN);
    v128.store(state, f64x2.add(wasSlope, f64x2.mul(error, v128.load(c, SLOPE_GAIN))), SLOPE);
    v128.store(state, f64x2.add(v128.load(state, REST), gain), REST);
  }

  /** Joins the back with the front's suffix, and forecasts. */
  @inline static forecast(c: usize, state: usize, suffix: usize): void {
    const mean = v128.load(state, MEAN);
    const slope = v128.load(state, SLOPE);
    const frontSlope = v128.load(suffix, 64);
    const rise = f64x2.sub(mean, v128.load(suffix));
    const bend = f64x2.sub(slope, frontSlope);
    const shared = f64x2.add(
      f64x2.mul(frontSlope, v128.load(c, FRONT_SHARE)),
      f64x2.mul(slope, v128.load(c, BACK_SHARE)),
    );
    const off = f64x2.sub(rise, f64x2.mul(shared, v128.load(c, APART)));
    const joined = f64x2.add(shared, f64x2.mul(off, v128.load(c, SLOPE_PULL)));
    const between = f64x2.add(
      f64x2.mul(bend, f64x2.mul(bend, v128.load(c, SLOPES_REST))),
      f64x2.mul(off, f64x2.mul(off, v128.load(c, MEANS_REST))),
    );
    const sse = f64x2.add(f64x2.add(v128.load(state, REST), v128.load(suffix, 128)), between);
    const centre = f64x2.sub(mean, f64x2.mul(rise, v128.load(c, FRONT_WEIGHT)));
    const ahead = f64x2.add(centre, f64x2.mul(joined, v128.load(c, AHEAD)));
    const value = f64x2.add(v128.load(state, ORIGIN), ahead);
    const smoothed = f64x2.add(
      f64x2.mul(v128.load(c, ALPHA), value),
      f64x2.mul(v128.load(c, KEPT), v128.load(state, SMOOTHED)),
    );
    v128.store(state, value, VALUE);
    v128.store(state, smoothed, SMOOTHED);
    v128.store(state, f64x2.sqrt(f64x2.mul(sse, v128.load(c, WIDTH))), HALF_WIDTH);
    v128.store(state, joined, SLOPE_PER_SECOND);
  }
}
