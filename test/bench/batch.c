/*
 * The tick of a batch as a C programmer would write it for this machine: two doubles in each operation (of 128 bits), the same
 * guarded arithmetic on the same memory as `assembly/batch.ts`, so that its forecasts can be compared bit for bit.
 * Built by `test/bench/c-loop.ts`: cc -O2 -mavx -ffp-contract=off -shared -fPIC
 */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { RANGES, NEW_ROW, FULL, ROWS, MARKED, RANGE_TABLE, INPUT, STATE, FLAGS, MARKS, SAVED, RING, RING_PITCH };
/* Vectors of a clock. */
enum { NEW_TIME, OLD_TIME, INVERSE, MEAN_TIME, INVERSE_SXX, FROM_MEAN, TARGET_TIME, WIDTH, ALPHA, KEPT, SHIFT,
       ROW_TIMES = 12 };
/* Fields of a block, eight doubles each. */
enum { BASE = 0, SLOPE = 8, SUM = 16, MOMENT = 24, SQUARES = 32, PEAK = 40, VALUE = 48, SMOOTHED = 56, HALF_WIDTH = 64,
       SLOPE_PER_SECOND = 72 };
enum { LANES = 8, BLOCK = 80, HEADER_BYTES = 16384, MOST_ROUNDS = 4, MOST_LOSS = 32 };

static inline __m128d add(__m128d a, __m128d b) { return _mm_add_pd(a, b); }
static inline __m128d sub(__m128d a, __m128d b) { return _mm_sub_pd(a, b); }
static inline __m128d mul(__m128d a, __m128d b) { return _mm_mul_pd(a, b); }
static inline __m128d and(__m128d a, __m128d b) { return _mm_and_pd(a, b); }
static inline __m128d or(__m128d a, __m128d b) { return _mm_or_pd(a, b); }
static inline __m128d at(const double *p) { return _mm_loadu_pd(p); }
static inline void put(double *p, __m128d v) { _mm_storeu_pd(p, v); }
static inline __m128d choose(__m128d yes, __m128d no, __m128d mask) { return or(and(mask, yes), _mm_andnot_pd(mask, no)); }
static inline __m128d within(__m128d v, double limit) {
  return _mm_cmple_pd(_mm_andnot_pd(_mm_set1_pd(-0.0), v), _mm_set1_pd(limit));
}

/* Where sums have lost too many digits, or are no numbers; a peak of NaN marks a series that is not summed. */
static inline __m128d lost(__m128d rest, __m128d peak) {
  return and(_mm_cmpeq_pd(peak, peak), _mm_cmpnge_pd(mul(rest, _mm_set1_pd(MOST_LOSS)), peak));
}

typedef struct { __m128d base, slope, sum, moment, squares, peak; } sums;

/* Writes the line of these sums. */
static inline __m128d fit(const __m128d *c, double *state, sums s) {
  const __m128d mean = mul(s.sum, c[INVERSE]);
  const __m128d across = sub(s.moment, mul(s.sum, c[MEAN_TIME])), tilt = mul(across, c[INVERSE_SXX]);
  const __m128d rest = sub(s.squares, add(mul(mean, s.sum), mul(tilt, across)));
  const __m128d ahead = add(mean, mul(tilt, c[FROM_MEAN]));
  put(state + PEAK, s.peak);
  put(state + VALUE, add(s.base, add(mul(s.slope, c[TARGET_TIME]), ahead)));
  put(state + HALF_WIDTH, rest);
  put(state + SLOPE_PER_SECOND, add(s.slope, tilt));
  return lost(rest, s.peak);
}

/* Takes in two new values and out the old, and fits. */
static inline __m128d slide(const __m128d *c, const double *values, const double *old, double *place, double *state) {
  const __m128d value = at(values), leaving = at(old);
  put(place, value);
  sums s = {at(state + BASE), at(state + SLOPE)};
  const __m128d into = sub(sub(value, s.base), mul(s.slope, c[NEW_TIME]));
  const __m128d out = sub(sub(leaving, s.base), mul(s.slope, c[OLD_TIME]));
  const __m128d change = sub(into, out);
  s.sum = add(at(state + SUM), change);
  s.moment = add(at(state + MOMENT), sub(mul(c[NEW_TIME], into), mul(c[OLD_TIME], out)));
  s.squares = add(at(state + SQUARES), mul(change, add(into, out)));
  s.peak = _mm_max_pd(s.squares, at(state + PEAK));
  put(state + SUM, s.sum);
  put(state + MOMENT, s.moment);
  put(state + SQUARES, s.squares);
  return fit(c, state, s);
}

/* The average and the interval. */
static inline void finish(const __m128d *c, double *state) {
  const __m128d rest = _mm_max_pd(at(state + HALF_WIDTH), _mm_setzero_pd());
  put(state + SMOOTHED, add(mul(c[ALPHA], at(state + VALUE)), mul(c[KEPT], at(state + SMOOTHED))));
  put(state + HALF_WIDTH, _mm_sqrt_pd(mul(rest, c[WIDTH])));
}

/* The new reference: the line fitted so far, or, where that is no use, the newest value. */
static void refer(double *state, const double *place, const __m128d *c, __m128d shift, __m128d mask) {
  const __m128d sum = at(state + SUM), was = at(state + BASE), slope = at(state + SLOPE);
  const __m128d mean = mul(sum, c[INVERSE]);
  const __m128d tilt = mul(sub(at(state + MOMENT), mul(sum, c[MEAN_TIME])), c[INVERSE_SXX]);
  const __m128d rise = add(mul(slope, shift), add(mean, mul(tilt, sub(shift, c[MEAN_TIME]))));
  const __m128d base = add(was, rise), steep = add(slope, tilt);
  const __m128d useful = and(within(at(state + SQUARES), 1e300), and(within(base, 1e110), within(steep, 1e110)));
  put(state + BASE, choose(choose(base, at(place), useful), was, mask));
  put(state + SLOPE, choose(and(steep, useful), slope, mask));
}

static void sum_pair(const char *memory, const int32_t *head, double *state, long in_row, const __m128d *c, __m128d mask) {
  const double *row = (const double *)(memory + head[RING]) + in_row;
  sums s = {at(state + BASE), at(state + SLOPE)};
  __m128d sum = _mm_setzero_pd(), moment = sum, squares = sum;
  for (int i = 0; i < head[ROWS]; i++, row += head[RING_PITCH] / 8) {
    const __m128d time = c[ROW_TIMES + i], residual = sub(sub(at(row), s.base), mul(s.slope, time));
    sum = add(sum, residual);
    moment = add(moment, mul(time, residual));
    squares = add(squares, mul(residual, residual));
  }
  s.sum = choose(sum, at(state + SUM), mask);
  s.moment = choose(moment, at(state + MOMENT), mask);
  s.squares = choose(squares, at(state + SQUARES), mask);
  s.peak = choose(squares, at(state + PEAK), mask);
  put(state + SUM, s.sum);
  put(state + MOMENT, s.moment);
  put(state + SQUARES, s.squares);
  fit(c, state, s);
}

/* Sums a block afresh: every series of it when it moves to another clock, or else those that have to be. */
static __attribute__((noinline)) void sum_block(const char *memory, const int32_t *head, double *state, long in_row,
                                                const double *place, const __m128d *from, const __m128d *to) {
  for (int pair = 0; pair < LANES; pair += 2) {
    double *two = state + pair;
    const __m128d *clock = from;
    __m128d mask = from == to ? lost(at(two + HALF_WIDTH), at(two + PEAK)) : _mm_castsi128_pd(_mm_set1_epi32(-1));
    for (int round = 0; round < MOST_ROUNDS && _mm_movemask_pd(mask); round++) {
      refer(two, place + pair, clock, clock == to ? _mm_setzero_pd() : clock[SHIFT], mask);
      sum_pair(memory, head, two, in_row + pair, to, mask);
      mask = lost(at(two + HALF_WIDTH), at(two + PEAK));
      clock = to;
    }
  }
}

static __attribute__((noinline)) void mark(char *memory, int32_t *head, long block, double *state, const double *values) {
  const long marked = head[MARKED]++;
  ((int32_t *)(memory + head[MARKS]))[marked] = (int32_t)block;
  memcpy((double *)(memory + head[SAVED]) + marked * (BLOCK - VALUE), state + VALUE, (BLOCK - VALUE) * sizeof(double));
  for (int pair = 0; pair < LANES; pair += 2)
    put(state + PEAK + pair, or(at(state + PEAK + pair), _mm_xor_pd(within(at(values + pair), 1e100),
                                                                    _mm_castsi128_pd(_mm_set1_epi32(-1)))));
}

int tick(char *memory) {
  int32_t *head = (int32_t *)(memory + HEADER_BYTES);
  const int32_t *flags = (int32_t *)(memory + head[FLAGS]);
  head[MARKED] = 0;
  for (int range = 0; range < head[RANGES]; range++) {
    const int32_t *row = (int32_t *)(memory + head[RANGE_TABLE]) + range * 4;
    const __m128d *from = (const __m128d *)(memory + row[2]), *to = (const __m128d *)(memory + row[3]);
    __m128d k[KEPT + 1];
    for (int i = 0; i <= KEPT; i++) k[i] = from[i];
    for (long block = row[0]; block < row[1]; block++) {
      double *state = (double *)(memory + head[STATE]) + block * BLOCK;
      const double *values = (double *)(memory + head[INPUT]) + block * LANES;
      double *place = (double *)(memory + head[NEW_ROW]) + block * LANES;
      const double *old = head[FULL] ? place : state + BASE;
      const __m128d good = and(and(within(at(values), 1e100), within(at(values + 2), 1e100)),
                               and(within(at(values + 4), 1e100), within(at(values + 6), 1e100)));
      if (_mm_movemask_pd(good) != 3 || flags[block]) mark(memory, head, block, state, values);
      __m128d bad = _mm_setzero_pd();
      for (int pair = 0; pair < LANES; pair += 2)
        bad = or(bad, slide(k, values + pair, old + pair, place + pair, state + pair));
      if (from != to || _mm_movemask_pd(bad)) sum_block(memory, head, state, block * LANES, place, from, to);
      for (int pair = 0; pair < LANES; pair += 2) finish(to, state + pair);
    }
  }
  return head[MARKED];
}
