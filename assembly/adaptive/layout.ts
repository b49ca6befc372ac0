/**
 * The memory of one adaptive forecaster: a single array of doubles, the same in both kernels, so that it can be saved
 * and restored as it is. Counts and indices are whole numbers in it. An address is an index into that array.
 */

/** Raised with every change to what the array holds: a saved state of another version is refused. */
export const LAYOUT_VERSION: i32 = 1;

/** Options, written by the host before the first push. */
export const HORIZON_SECONDS: i32 = 0;
/** The line whose crossing `TIME_TO_THRESHOLD` looks for, in the value's unit. */
export const THRESHOLD: i32 = 1;
/** Half-width of the interval while nothing is known, in the value's unit. */
export const COLD_HALF_WIDTH: i32 = 2;
/** 1 while the memory holds a forecaster. */
export const IN_USE: i32 = 3;

/** Features are taken at most so often within a horizon; points in between settle forecasts and move the newest. */
export const TAKEN_PER_HORIZON: f64 = 64;

/** What is known of the series itself; `POINTS` are those that features were taken of, `SEEN` all. */
export const POINTS: i32 = 8;
export const FIRST_SECONDS: i32 = 9;
export const LAST_SECONDS: i32 = 10;
export const LAST_VALUE: i32 = 11;
/** The usual distance of two points, in seconds. */
export const TYPICAL_STEP: i32 = 12;
/** The newest point that features were taken of; points in between only move the forecast. */
export const TAKEN_SECONDS: i32 = 13;
export const TAKEN: i32 = 14;
export const REFUSED_NOT_FINITE: i32 = 15;
export const REFUSED_REPEATED: i32 = 16;
export const REFUSED_BACKWARD: i32 = 17;
export const SEEN: i32 = 18;

/** The queue of forecasts whose outcome is not known yet. */
export const PENDING_FIRST: i32 = 20;
export const PENDING_COUNT: i32 = 21;
/** Forecasts that met their outcome, and those whose outcome fell into a gap. */
export const SCORED: i32 = 22;
export const MISSED: i32 = 23;

/** Running means of the absolute error: of the last value, fast, slow; and the largest lately. */
export const LAST_VALUE_ERROR: i32 = 24;
export const FAST_ERROR: i32 = 25;
export const SLOW_ERROR: i32 = 26;
export const LARGEST_ERROR: i32 = 27;
/** Running means of the absolute step between points: fast, slow. */
export const FAST_STEP: i32 = 28;
export const SLOW_STEP: i32 = 29;

/** The miscoverage asked for next (Gibbs and Candès 2021): both sides, above only, below only. */
export const ALPHA_BOTH: i32 = 32;
export const ALPHA_ABOVE: i32 = 33;
export const ALPHA_BELOW: i32 = 34;
/** Share of outcomes inside the interval: since the beginning (a count), and lately (a running mean). */
export const COVERED: i32 = 35;
export const RECENT_COVERAGE: i32 = 36;
/** Outcomes that the interval was judged by. */
export const JUDGED: i32 = 37;
/** Errors that are due to be kept, less than 1: each outcome adds its share. */
export const DUE_ERRORS: i32 = 38;

/** Page-Hinkley: mean of the scaled error, its cumulated excess, the least of that, and how many it has seen. */
export const DRIFT_MEAN: i32 = 40;
export const DRIFT_SUM: i32 = 41;
export const DRIFT_LEAST: i32 = 42;
export const DRIFT_SEEN: i32 = 43;
/** Times that a drift was found, and the time of the last. */
export const DRIFTS: i32 = 44;
export const DRIFT_SECONDS: i32 = 45;

/** The forecast relative to the point it was made at: it moves with the points that come until the next. */
export const AHEAD: i32 = 48;
export const AHEAD_LOWER: i32 = 49;
export const AHEAD_UPPER: i32 = 50;
export const AHEAD_AT_LEAST: i32 = 51;
export const AHEAD_AT_MOST: i32 = 52;

/** What the host reads after a push. */
export const OUTPUTS: i32 = 56;
/** 0 empty, 1 calibrating, 2 calibrated, 3 miscalibrated. */
export const OUTPUT_STATE: i32 = OUTPUTS;
export const OUTPUT_VALUE: i32 = OUTPUTS + 1;
/** 95 % of the outcomes lie between these, */
export const OUTPUT_LOWER: i32 = OUTPUTS + 2;
export const OUTPUT_UPPER: i32 = OUTPUTS + 3;
/** 95 % lie above this one, and 95 % below that. */
export const OUTPUT_AT_LEAST: i32 = OUTPUTS + 4;
export const OUTPUT_AT_MOST: i32 = OUTPUTS + 5;
/** How surprising the newest outcome was: its distance from its forecast in half-widths of that one's interval. */
export const OUTPUT_SURPRISE: i32 = OUTPUTS + 6;
/** 1 when the newest push found a drift. */
export const OUTPUT_DRIFTED: i32 = OUTPUTS + 7;

/** The newest rise within 30 seconds, in units of what is usual at most; 0 where it is small in itself. */
export const OUTPUT_RISE: i32 = OUTPUTS + 8;
/** Written by `measureTrend`: slope per second, its bounds, and 1 when it differs from none. */
export const OUTPUT_SLOPE: i32 = OUTPUTS + 9;
export const OUTPUT_SLOPE_LOWER: i32 = OUTPUTS + 10;
export const OUTPUT_SLOPE_UPPER: i32 = OUTPUTS + 11;
export const OUTPUT_SIGNIFICANT: i32 = OUTPUTS + 12;
/** Seconds until the threshold and its bounds; -1 without a significant rise. */
export const OUTPUT_CROSSING: i32 = OUTPUTS + 13;
export const OUTPUT_CROSSING_EARLIEST: i32 = OUTPUTS + 14;
export const OUTPUT_CROSSING_LATEST: i32 = OUTPUTS + 15;
export const OUTPUT_COUNT: i32 = 16;

export const STATE_EMPTY: f64 = 0;
export const STATE_CALIBRATING: f64 = 1;
export const STATE_CALIBRATED: f64 = 2;
export const STATE_MISCALIBRATED: f64 = 3;

/** The experts, in this order wherever there is one number for each. */
export const EXPERTS: i32 = 7;
export const EXPERT_LAST: i32 = 0;
export const EXPERT_LINE: i32 = 1;
export const EXPERT_SCALES: i32 = 2;
export const EXPERT_AUTOREGRESSION: i32 = 3;
export const EXPERT_PERIODIC: i32 = 4;
export const EXPERT_DAMPED: i32 = 5;
export const EXPERT_MEAN: i32 = 6;
export const WEIGHTS: i32 = 72;
export const LOSSES: i32 = WEIGHTS + EXPERTS;

/** Features of a point, see `features.ts`; the experts use stretches of them. */
export const FEATURES: i32 = 22;
export const SCALE_FEATURES: i32 = 6;
export const DIFFERENCES: i32 = 10;
export const FIRST_DIFFERENCE: i32 = 4;
/** Their running mean squares. */
export const FEATURE_POWER: i32 = 88;

/** Features that tell how large the error will be, see `spread.ts`, and their running mean squares. */
export const SPREAD_FEATURES: i32 = 16;
export const SPREAD_POWER: i32 = FEATURE_POWER + FEATURES;

/** The newest difference first. */
export const DIFFERENCE_RING: i32 = SPREAD_POWER + SPREAD_FEATURES;

/** Averages over 4, 16, 64, 256 and 1,024 points. */
export const AVERAGES: i32 = 5;
export const AVERAGE: i32 = DIFFERENCE_RING + DIFFERENCES;

/** The newest points and their times, the oldest first from where the short window's ring begins. */
export const TIME_RING: i32 = AVERAGE + AVERAGES;

/** A sorted window: how many it holds, where its ring is, then the ring and the values in order. */
export const SORTED_HEADER: i32 = 2;
export const MEDIAN_SHORT: i32 = 50;
export const MEDIAN_LONG: i32 = 200;
export const SHORT_WINDOW: i32 = TIME_RING + MEDIAN_SHORT;
export const LONG_WINDOW: i32 = SHORT_WINDOW + SORTED_HEADER + 2 * MEDIAN_SHORT;
/** The last errors in units of their spread, without their sign. */
export const ERRORS: i32 = 500;
export const SCALED_ERRORS: i32 = LONG_WINDOW + SORTED_HEADER + 2 * MEDIAN_LONG;

/** The last rises or falls within 30 seconds, without their sign. */
export const RISES: i32 = 200;
export const RISE_WINDOW: i32 = SCALED_ERRORS + SORTED_HEADER + 2 * ERRORS;

/** Profiles by the minute of the hour, by 2 minutes of the day, and by 30 minutes of a weekday or a weekend day. */
export const HOUR_BINS: i32 = 60;
export const DAY_BINS: i32 = 720;
export const WEEK_BINS: i32 = 96;
/** A profile: the bin that is being filled, its sum and its count; then a level for each bin, and whether it has one. */
export const PROFILE_HEADER: i32 = 4;
export const HOUR_PROFILE: i32 = RISE_WINDOW + SORTED_HEADER + 2 * RISES;
export const DAY_PROFILE: i32 = HOUR_PROFILE + PROFILE_HEADER + 2 * HOUR_BINS;
export const WEEK_PROFILE: i32 = DAY_PROFILE + PROFILE_HEADER + 2 * DAY_BINS;
/** Errors above and below by the minute of the hour, and by 2 minutes of the day. */
export const HOUR_ABOVE: i32 = WEEK_PROFILE + PROFILE_HEADER + 2 * WEEK_BINS;
export const HOUR_BELOW: i32 = HOUR_ABOVE + HOUR_BINS;
export const DAY_ABOVE: i32 = HOUR_BELOW + HOUR_BINS;
export const DAY_BELOW: i32 = DAY_ABOVE + DAY_BINS;

/** A recursive regression: header, weights (a set for each output), its covariance. */
export const REGRESSION_HEADER: i32 = 4;
export const SCALES_MODEL: i32 = DAY_BELOW + DAY_BINS;
export const AUTOREGRESSION_MODEL: i32 =
  SCALES_MODEL + REGRESSION_HEADER + SCALE_FEATURES + SCALE_FEATURES * SCALE_FEATURES;
export const PERIODIC_MODEL: i32 =
  AUTOREGRESSION_MODEL + REGRESSION_HEADER + DIFFERENCES + DIFFERENCES * DIFFERENCES;
export const SPREAD_MODEL: i32 = PERIODIC_MODEL + REGRESSION_HEADER + FEATURES + FEATURES * FEATURES;
export const GAIN: i32 =
  SPREAD_MODEL + REGRESSION_HEADER + 2 * SPREAD_FEATURES + SPREAD_FEATURES * SPREAD_FEATURES;

/** A forecast that waits for its outcome. */
export const PENDING_CAPACITY: i32 = 80;
export const PENDING_TARGET: i32 = 0;
export const PENDING_ORIGIN: i32 = 1;
export const PENDING_VALUE: i32 = 2;
export const PENDING_LOWER: i32 = 3;
export const PENDING_UPPER: i32 = 4;
export const PENDING_AT_LEAST: i32 = 5;
export const PENDING_AT_MOST: i32 = 6;
export const PENDING_SPREAD_ABOVE: i32 = 7;
export const PENDING_SPREAD_BELOW: i32 = 8;
export const PENDING_HOUR: i32 = 9;
export const PENDING_DAY: i32 = 10;
export const PENDING_EXPERTS: i32 = 11;
export const PENDING_FEATURES: i32 = PENDING_EXPERTS + EXPERTS;
export const PENDING_SPREAD: i32 = PENDING_FEATURES + FEATURES;
export const PENDING_FIELDS: i32 = PENDING_SPREAD + SPREAD_FEATURES;
export const PENDING: i32 = GAIN + FEATURES;

export const CELLS: i32 = PENDING + PENDING_CAPACITY * PENDING_FIELDS;
