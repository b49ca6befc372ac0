/**
 * A tick of a batch: two series in each operation, eight in a block. `src/forecast/js-batch.ts` does the same operations
 * in the same order and says what they are: change both or neither.
 */
import {
  ALPHA,
  BLOCK_BYTES,
  END_BLOCK,
  FIRST_BLOCK,
  FLAGS,
  FROM,
  FROM_MEAN,
  FULL,
  INPUT,
  INVERSE,
  INVERSE_SXX,
  KEPT,
  LINE_BYTES,
  MARKED,
  MARKS,
  MEAN_TIME,
  NEW_ROW,
  NEW_TIME,
  OLD_TIME,
  PEAK,
  RANGE_BYTES,
  RANGE_TABLE,
  RANGES,
  SAVED,
  STATE,
  TARGET_TIME,
  TO,
  VALUE,
  WIDTH,
} from "./batch-layout";
import { Lanes } from "./batch-line";
import { sumBlock } from "./batch-sum";

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
  const ranges = load<i32>(RANGES);
  for (let range = 0; range < ranges; range++) {
    const row = <usize>load<i32>(RANGE_TABLE) + <usize>range * RANGE_BYTES;
    const first = <usize>load<i32>(row, FIRST_BLOCK);
    const end = <usize>load<i32>(row, END_BLOCK);
    updateRange(first, end, <usize>load<i32>(row, FROM), <usize>load<i32>(row, TO));
  }
  return load<i32>(MARKED);
}

function updateRange(first: usize, end: usize, from: usize, to: usize): void {
  const flags = <usize>load<i32>(FLAGS);
  const full = load<i32>(FULL) !== 0;
  let state = <usize>load<i32>(STATE) + first * BLOCK_BYTES;
  let values = <usize>load<i32>(INPUT) + first * LINE_BYTES;
  let place = <usize>load<i32>(NEW_ROW) + first * LINE_BYTES;
  for (let block = first; block < end; block++) {
    if (!Lanes.good(values) || load<i32>(flags + (block << 2)) !== 0) mark(block, state, values);
    // Nothing leaves a window that is not full: the base, at time 0, counts for nothing.
    Block.slide(from, values, full ? place : state, place, state);
    if (Block.fit(from, state) !== 3 || from !== to) sumBlock(state, block * LINE_BYTES, place, from, to);
    Block.finish(to, state);
    state += BLOCK_BYTES;
    values += LINE_BYTES;
    place += LINE_BYTES;
  }
}

/** Each step for the whole block before the next: the processor then finds enough that waits for nothing. */
class Block {
  @inline static slide(clock: usize, values: usize, old: usize, place: usize, state: usize): void {
    const newTime = v128.load(clock, NEW_TIME);
    const oldTime = v128.load(clock, OLD_TIME);
    Lanes.slide(newTime, oldTime, values, old, place, state);
    Lanes.slide(newTime, oldTime, values + 16, old + 16, place + 16, state + 16);
    Lanes.slide(newTime, oldTime, values + 32, old + 32, place + 32, state + 32);
    Lanes.slide(newTime, oldTime, values + 48, old + 48, place + 48, state + 48);
  }

  /** Answers 3 when every series kept its digits. */
  @inline static fit(clock: usize, state: usize): i32 {
    const inverse = v128.load(clock, INVERSE);
    const meanTime = v128.load(clock, MEAN_TIME);
    const inverseSxx = v128.load(clock, INVERSE_SXX);
    const fromMean = v128.load(clock, FROM_MEAN);
    const targetTime = v128.load(clock, TARGET_TIME);
    const one = Lanes.fit(inverse, meanTime, inverseSxx, fromMean, targetTime, state);
    const two = Lanes.fit(inverse, meanTime, inverseSxx, fromMean, targetTime, state + 16);
    const three = Lanes.fit(inverse, meanTime, inverseSxx, fromMean, targetTime, state + 32);
    const four = Lanes.fit(inverse, meanTime, inverseSxx, fromMean, targetTime, state + 48);
    return i64x2.bitmask(v128.and(v128.and(one, two), v128.and(three, four)));
  }

  @inline static finish(clock: usize, state: usize): void {
    const width = v128.load(clock, WIDTH);
    const alpha = v128.load(clock, ALPHA);
    const kept = v128.load(clock, KEPT);
    Lanes.finish(width, alpha, kept, state);
    Lanes.finish(width, alpha, kept, state + 16);
    Lanes.finish(width, alpha, kept, state + 32);
    Lanes.finish(width, alpha, kept, state + 48);
  }
}

/** Notes the block, keeps its outputs as they are, and takes no more sums of a series whose value is bad. */
function mark(block: usize, state: usize, values: usize): void {
  const marked = <usize>load<i32>(MARKED);
  store<i32>(<usize>load<i32>(MARKS) + (marked << 2), <i32>block);
  store<i32>(MARKED, <i32>marked + 1);
  memory.copy(<usize>load<i32>(SAVED) + marked * (BLOCK_BYTES - VALUE), state + VALUE, BLOCK_BYTES - VALUE);
  for (let pair: usize = 0; pair < LINE_BYTES; pair += 16) {
    const bad = v128.not(Lanes.inside(values + pair));
    v128.store(state + pair, v128.or(v128.load(state + pair, PEAK), bad), PEAK);
  }
}
