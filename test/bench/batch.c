/*
 * The tick of a batch as a C programmer would write it for this machine: two doubles in each operation (SSE2), the same
 * guarded arithmetic on the same memory as `assembly/batch.ts`, so that its forecasts can be compared bit for bit.
 * Built by `test/bench/c-loop.ts`: cc -O2 -msse2 -ffp-contract=off -shared -fPIC
 */
#include <emmintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { GROUPS, NEW_ROW, NEWEST_ROW, NEWEST_SUFFIX, TURNING_ROWS, MARKED, GROUP_TABLE, COEFFICIENTS, TURNING_TABLE, INPUT,
       STATE, FLAGS, MARKS, SAVED, SCRATCH, RING_START, RING_LAST, RING_PITCH, SUFFIX_LAST, SUFFIX_PITCH };
enum { STEP, INVERSE, SLOPE_GAIN, REST_GAIN, FRONT_SHARE, BACK_SHARE, SLOPES_REST, APART, SLOPE_PULL, MEANS_REST,
       FRONT_WEIGHT, AHEAD, WIDTH, ALPHA, KEPT };
/* Fields of a block, eight doubles each. */
enum { ORIGIN = 0, MEAN = 8, SLOPE = 16, REST = 24, VALUE = 32, SMOOTHED = 40, HALF_WIDTH = 48, SLOPE_PER_SECOND = 56 };
enum { LANES = 8, BLOCK = 64, SUFFIX = 24, HEADER_BYTES = 16384 };

static inline __m128d add(__m128d a, __m128d b) { return _mm_add_pd(a, b); }
static inline __m128d sub(__m128d a, __m128d b) { return _mm_sub_pd(a, b); }
static inline __m128d mul(__m128d a, __m128d b) { return _mm_mul_pd(a, b); }
static inline __m128d at(const double *p) { return _mm_loadu_pd(p); }
static inline void put(double *p, __m128d v) { _mm_storeu_pd(p, v); }

/* Empties the back of two series, and answers their new origin: the newest value, or the last one while missing. */
static inline __m128d empty(double *state, const double *row) {
  const __m128d newest = at(row), known = _mm_cmpeq_pd(newest, newest);
  const __m128d origin = _mm_or_pd(_mm_and_pd(known, newest), _mm_andnot_pd(known, at(state + ORIGIN)));
  put(state + ORIGIN, origin);
  put(state + MEAN, _mm_setzero_pd());
  put(state + SLOPE, _mm_setzero_pd());
  put(state + REST, _mm_setzero_pd());
  return origin;
}

typedef struct { __m128d origin, mean, slope, rest; } sums;

/* Adds two values of a row; NaN marks a missing one, which counts as the origin. */
static inline void extend(sums *s, const double *row, const double *table, double *suffix) {
  const __m128d off = sub(at(row), s->origin);
  const __m128d from = sub(_mm_and_pd(off, _mm_cmpeq_pd(off, off)), s->mean);
  const __m128d error = sub(from, mul(s->slope, at(table)));
  s->mean = add(s->mean, mul(from, at(table + 2)));
  s->slope = add(s->slope, mul(error, at(table + 4)));
  s->rest = add(s->rest, mul(error, mul(error, at(table + 6))));
  put(suffix, s->mean);
  put(suffix + 8, s->slope);
  put(suffix + 16, s->rest);
}

static void turn_four(char *memory, const int32_t *head, double *state, long in_row, long in_suffix) {
  const double *start = (double *)(memory + head[RING_START]) + in_row;
  const double *last = (double *)(memory + head[RING_LAST]) + in_row;
  double *last_suffix = (double *)(memory + head[SUFFIX_LAST]) + in_suffix;
  const double *row = (double *)(memory + head[NEWEST_ROW]) + in_row;
  double *suffix = (double *)(memory + head[NEWEST_SUFFIX]) + in_suffix;
  const double *table = (double *)(memory + head[TURNING_TABLE]);
  const double *end = table + 8L * head[TURNING_ROWS];
  const long pitch = head[RING_PITCH] / 8, suffix_pitch = head[SUFFIX_PITCH] / 8;
  const __m128d zero = _mm_setzero_pd();
  sums one = {empty(state, row), zero, zero, zero}, other = {empty(state + 2, row + 2), zero, zero, zero};
  for (; table < end; table += 8) {
    extend(&one, row, table, suffix);
    extend(&other, row + 2, table, suffix + 2);
    const int wraps = row == start;
    row = wraps ? last : row - pitch;
    suffix = wraps ? last_suffix : suffix - suffix_pitch;
  }
}

/* Adds a pair of values to their back. */
static inline void update_back(const __m128d *c, const double *values, double *place, double *state) {
  const __m128d value = at(values), was_mean = at(state + MEAN), was_slope = at(state + SLOPE);
  put(place, value);
  const __m128d from = sub(sub(value, at(state + ORIGIN)), was_mean);
  const __m128d error = sub(from, mul(was_slope, c[STEP]));
  put(state + MEAN, add(was_mean, mul(from, c[INVERSE])));
  put(state + SLOPE, add(was_slope, mul(error, c[SLOPE_GAIN])));
  put(state + REST, add(at(state + REST), mul(error, mul(error, c[REST_GAIN]))));
}

/* Joins the back with the front's suffix, and forecasts. */
static inline void forecast_pair(const __m128d *c, double *state, const double *front) {
  const __m128d mean = at(state + MEAN), slope = at(state + SLOPE), front_slope = at(front + 8);
  const __m128d rise = sub(mean, at(front)), bend = sub(slope, front_slope);
  const __m128d shared = add(mul(front_slope, c[FRONT_SHARE]), mul(slope, c[BACK_SHARE]));
  const __m128d off = sub(rise, mul(shared, c[APART]));
  const __m128d joined = add(shared, mul(off, c[SLOPE_PULL]));
  const __m128d between =
      add(mul(bend, mul(bend, c[SLOPES_REST])), mul(off, mul(off, c[MEANS_REST])));
  const __m128d sse = add(add(at(state + REST), at(front + 16)), between);
  const __m128d centre = sub(mean, mul(rise, c[FRONT_WEIGHT]));
  const __m128d forecast = add(at(state + ORIGIN), add(centre, mul(joined, c[AHEAD])));
  put(state + VALUE, forecast);
  put(state + SMOOTHED, add(mul(c[ALPHA], forecast), mul(c[KEPT], at(state + SMOOTHED))));
  put(state + HALF_WIDTH, _mm_sqrt_pd(mul(sse, c[WIDTH])));
  put(state + SLOPE_PER_SECOND, joined);
}

static inline __m128d inside(const double *values) {
  const __m128d magnitude = _mm_andnot_pd(_mm_set1_pd(-0.0), at(values));
  return _mm_cmple_pd(magnitude, _mm_set1_pd(1e100));
}

static __attribute__((noinline)) const double *mark(char *memory, int32_t *head, long block, const double *state,
                                                    const double *values) {
  const long marked = head[MARKED]++;
  double *scratch = (double *)(memory + head[SCRATCH]);
  ((int32_t *)(memory + head[MARKS]))[marked] = (int32_t)block;
  memcpy((double *)(memory + head[SAVED]) + marked * 32, state + VALUE, 256);
  for (int lane = 0; lane < LANES; lane++)
    scratch[lane] = fabs(values[lane]) <= 1e100 ? values[lane] : state[ORIGIN + lane];
  return scratch;
}

int tick(char *memory) {
  int32_t *head = (int32_t *)(memory + HEADER_BYTES);
  const int32_t *flags = (int32_t *)(memory + head[FLAGS]);
  head[MARKED] = 0;
  for (int group = 0; group < head[GROUPS]; group++) {
    const int32_t *row = (int32_t *)(memory + head[GROUP_TABLE]) + group * 4;
    const double *c = (double *)(memory + head[COEFFICIENTS]) + group * 32;
    double *states = (double *)(memory + head[STATE]);
    __m128d k[KEPT + 1];
    for (int i = 0; i <= KEPT; i++) k[i] = at(c + 2 * i);
    if (row[3])
      for (long block = row[0]; block < row[1]; block++)
        for (int half = 0; half < LANES; half += 4)
          turn_four(memory, head, states + block * BLOCK + half, block * LANES + half, block * SUFFIX + half);
    for (long block = row[0]; block < row[1]; block++) {
      double *state = states + block * BLOCK;
      const double *values = (double *)(memory + head[INPUT]) + block * LANES;
      double *place = (double *)(memory + head[NEW_ROW]) + block * LANES;
      const double *front = (double *)(memory + row[2]) + block * SUFFIX;
      const __m128d good = _mm_and_pd(_mm_and_pd(inside(values), inside(values + 2)),
                                      _mm_and_pd(inside(values + 4), inside(values + 6)));
      if (_mm_movemask_pd(good) != 3 || flags[block]) values = mark(memory, head, block, state, values);
      for (int pair = 0; pair < LANES; pair += 2) update_back(k, values + pair, place + pair, state + pair);
      for (int pair = 0; pair < LANES; pair += 2) forecast_pair(k, state + pair, front + pair);
    }
  }
  return head[MARKED];
}
