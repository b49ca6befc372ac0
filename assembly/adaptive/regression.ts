/**
 * Recursive least squares with exponential forgetting (Haykin, Adaptive Filter Theory, ch. 13): each update costs n²
 * and no window is kept. Errors are clipped at a multiple of their running mean (Huber), so that one jump does not
 * turn the weights over, and the covariance stops growing at a bound, so that a quiet series does not blow it up.
 */
import { at } from "./cells";
import { GAIN, REGRESSION_HEADER } from "./layout";
import { overlap } from "./overlap";
import { addScaled, dot, multiply, subtractOuter } from "./vectors";

const SEEN: i32 = 0;
const ERROR_SCALE: i32 = 1;

/** The first so many errors are not clipped: their scale is not known. */
const UNCLIPPED: f64 = 5;
const SCALE_RATE: f64 = 0.01;
/** No error moves the scale of errors by more than so many of it. */
const SCALE_CLIP: f64 = 10;
/** A variance stops growing here: features are scaled to one, so that learned ones lie far below. */
const MOST_VARIANCE: f64 = 1;

/** Starts a regression on `n` features, an even number, with `outputs` targets; the ridge is 1 / the first variances. */
export function startRegression(cells: Float64Array, model: i32, n: i32, outputs: i32, ridge: f64): void {
  const covariance = model + REGRESSION_HEADER + outputs * n;
  cells.fill(0, model, covariance + n * n);
  for (let i = 0; i < n; i++) cells[covariance + i * n + i] = 1.0 / ridge;
}

/** The prediction of one output; `features` is the address of the first of them. */
export function predictRegression(cells: Float64Array, weights: i32, features: i32, n: i32): f64 {
  return dot(cells, weights, features, n);
}

/** Writes covariance × features to `GAIN`, and answers what the gain is divided by: forgetting × overlap + f' P f. */
function gain(cells: Float64Array, covariance: i32, features: i32, n: i32, forgetting: f64): f64 {
  multiply(cells, covariance, features, n);
  return forgetting * overlap(cells) + dot(cells, GAIN, features, n);
}

/** Takes what was learned out of the covariance, and forgets a little. A variance at its bound does not grow. */
function shrinkCovariance(cells: Float64Array, covariance: i32, n: i32, divisor: f64, forgetting: f64): void {
  const root = Math.sqrt(1.0 / divisor);
  for (let i = 0; i < n; i++) cells[GAIN + i] = root * at(cells, GAIN + i);
  subtractOuter(cells, covariance, n, 1.0 / forgetting);
  for (let i = 0; i < n; i++) {
    const variance = at(cells, covariance + i * n + i);
    if (variance > MOST_VARIANCE) boundVariance(cells, covariance, n, i, Math.sqrt(MOST_VARIANCE / variance));
  }
}

/** Scales one feature in the covariance. */
function boundVariance(cells: Float64Array, covariance: i32, n: i32, feature: i32, scale: f64): void {
  for (let j = 0; j < n; j++) {
    const across = covariance + feature * n + j;
    const down = covariance + j * n + feature;
    cells[across] = at(cells, across) * scale;
    cells[down] = at(cells, down) * scale;
  }
}

/** The error as it is learned from: clipped at `clip` times the usual one, which it moves. */
function clipError(cells: Float64Array, scale: i32, seen: f64, error: f64, clip: f64): f64 {
  const size = Math.abs(error);
  const usual = at(cells, scale);
  const known = seen > UNCLIPPED;
  const counted = known ? Math.min(size, SCALE_CLIP * usual + 1e-12) : size;
  cells[scale] = usual + Math.max(SCALE_RATE, 1.0 / seen) * (counted - usual);
  const most = clip * usual;
  if (!known || size <= most) return error;
  return error > 0 ? most : -most;
}

/** Learns one target on `n` features. */
export function learnRegression(
  cells: Float64Array,
  model: i32,
  features: i32,
  n: i32,
  target: f64,
  forgetting: f64,
  clip: f64,
): void {
  const weights = model + REGRESSION_HEADER;
  const seen = at(cells, model + SEEN) + 1;
  cells[model + SEEN] = seen;
  const error = target - dot(cells, weights, features, n);
  const learned = clipError(cells, model + ERROR_SCALE, seen, error, clip);
  const divisor = gain(cells, weights + n, features, n, forgetting);
  addScaled(cells, weights, GAIN, n, learned / divisor);
  shrinkCovariance(cells, weights + n, n, divisor, forgetting);
}

/** Learns two targets on the same `n` features: they share the gain and the covariance. */
export function learnPair(
  cells: Float64Array,
  model: i32,
  features: i32,
  n: i32,
  first: f64,
  second: f64,
  forgetting: f64,
  clip: f64,
): void {
  const weights = model + REGRESSION_HEADER;
  const others = weights + n;
  const seen = at(cells, model + SEEN) + 1;
  cells[model + SEEN] = seen;
  const firstError = first - dot(cells, weights, features, n);
  const secondError = second - dot(cells, others, features, n);
  const firstLearned = clipError(cells, model + ERROR_SCALE, seen, firstError, clip);
  const secondLearned = clipError(cells, model + ERROR_SCALE + 1, seen, secondError, clip);
  const divisor = gain(cells, others + n, features, n, forgetting);
  addScaled(cells, weights, GAIN, n, firstLearned / divisor);
  addScaled(cells, others, GAIN, n, secondLearned / divisor);
  shrinkCovariance(cells, others + n, n, divisor, forgetting);
}
