/**
 * The experts and their mix. Three of them are regressions on features of the point, whose target is the change until
 * the horizon. Weights are exponential in the discounted, scaled and capped absolute errors (Cesa-Bianchi and Lugosi,
 * Prediction, Learning, and Games, ch. 2).
 */
import { approach, at } from "./cells";
import {
  AUTOREGRESSION_MODEL,
  DIFFERENCES,
  EXPERT_AUTOREGRESSION,
  EXPERT_DAMPED,
  EXPERT_LAST,
  EXPERT_LINE,
  EXPERT_MEAN,
  EXPERT_PERIODIC,
  EXPERT_SCALES,
  EXPERTS,
  FEATURES,
  FIRST_DIFFERENCE,
  LAST_VALUE_ERROR,
  LONG_WINDOW,
  LOSSES,
  MEDIAN_LONG,
  PENDING_EXPERTS,
  PENDING_FEATURES,
  PENDING_ORIGIN,
  PERIODIC_MODEL,
  REGRESSION_HEADER,
  SCALE_FEATURES,
  SCALES_MODEL,
  SCORED,
  SORTED_HEADER,
  WEIGHTS,
} from "./layout";
import { pace } from "./overlap";
import { learnRegression, predictRegression, startRegression } from "./regression";
import { sortedCount } from "./sorted-window";

/** How much is forgotten with an outcome: by the regressions, and of the losses; see `pace`. */
const FORGOTTEN: f64 = 0.003;
const DISCOUNTED: f64 = 0.002;
const RIDGE: f64 = 8;
/** Errors of the regressions are clipped at so many times their usual size. */
const CLIP: f64 = 3;
/** Losses: at most how large one counts, and how sharply they decide. */
const MOST_LOSS: f64 = 10;
const SHARPNESS: f64 = 0.2;
const LINE_LOSS: f64 = 20;
/** How much of its change the damped expert takes from the periodic one. */
const DAMPING: f64 = 0.7;
const LOSS_RATE: f64 = 0.01;
const LEAST_SCALE: f64 = 1e-9;

export function startExperts(cells: Float64Array): void {
  startRegression(cells, SCALES_MODEL, SCALE_FEATURES, 1, RIDGE);
  startRegression(cells, AUTOREGRESSION_MODEL, DIFFERENCES, 1, RIDGE);
  startRegression(cells, PERIODIC_MODEL, FEATURES, 1, RIDGE);
  startLosses(cells);
}

/** The experts begin as equals, but for the line: it is the worst of them where memory rests. */
export function startLosses(cells: Float64Array): void {
  for (let i = 0; i < EXPERTS; i++) cells[LOSSES + i] = 0;
  cells[LOSSES + EXPERT_LINE] = LINE_LOSS;
}

/** Writes each expert's forecast into the pending row, and answers their weighted mean. `line` is the fitted line's. */
export function forecastExperts(cells: Float64Array, row: i32, value: f64, line: f64): f64 {
  const to = row + PENDING_EXPERTS;
  const features = row + PENDING_FEATURES;
  cells[to + EXPERT_LAST] = value;
  cells[to + EXPERT_LINE] = line;
  const recent = features + FIRST_DIFFERENCE;
  cells[to + EXPERT_SCALES] = regressed(cells, SCALES_MODEL, features, SCALE_FEATURES, value);
  cells[to + EXPERT_AUTOREGRESSION] = regressed(cells, AUTOREGRESSION_MODEL, recent, DIFFERENCES, value);
  cells[to + EXPERT_PERIODIC] = regressed(cells, PERIODIC_MODEL, features, FEATURES, value);
  combine(cells, to, value);
  weigh(cells);
  let sum: f64 = 0;
  for (let i = 0; i < EXPERTS; i++) sum += at(cells, WEIGHTS + i) * at(cells, to + i);
  return sum;
}

/** Two more experts from the others: where little can be known, the less one claims the better. */
function combine(cells: Float64Array, to: i32, value: f64): void {
  const periodic = at(cells, to + EXPERT_PERIODIC);
  const recent = at(cells, to + EXPERT_SCALES) + at(cells, to + EXPERT_AUTOREGRESSION);
  cells[to + EXPERT_DAMPED] = value + DAMPING * (periodic - value);
  cells[to + EXPERT_MEAN] = 0.25 * (value + recent + periodic);
}

/** What a regression predicts, kept within what the last 200 points have seen and their range to either side. */
function regressed(cells: Float64Array, model: i32, features: i32, n: i32, value: f64): f64 {
  const forecast = value + predictRegression(cells, model + REGRESSION_HEADER, features, n);
  const sorted = LONG_WINDOW + SORTED_HEADER + MEDIAN_LONG;
  const least = at(cells, sorted);
  const most = at(cells, sorted + sortedCount(cells, LONG_WINDOW) - 1);
  const range = most - least;
  return Math.max(least - range, Math.min(most + range, forecast));
}

/** Learns from the outcome of the forecasts in the pending row. */
export function learnOutcome(cells: Float64Array, row: i32, outcome: f64): void {
  const forecasts = row + PENDING_EXPERTS;
  const features = row + PENDING_FEATURES;
  const target = outcome - at(cells, row + PENDING_ORIGIN);
  const lastError = Math.abs(outcome - at(cells, forecasts + EXPERT_LAST));
  approach(cells, LAST_VALUE_ERROR, lastError, Math.max(LOSS_RATE, 1.0 / at(cells, SCORED)));
  const scale = at(cells, LAST_VALUE_ERROR) + LEAST_SCALE;
  const slowly = pace(cells);
  const kept = 1.0 - DISCOUNTED * slowly;
  const forgetting = 1.0 - FORGOTTEN * slowly;
  for (let i = 0; i < EXPERTS; i++) {
    const loss = Math.abs(outcome - at(cells, forecasts + i)) / scale;
    cells[LOSSES + i] = kept * at(cells, LOSSES + i) + Math.min(MOST_LOSS, loss);
  }
  learnRegression(cells, SCALES_MODEL, features, SCALE_FEATURES, target, forgetting, CLIP);
  learnRegression(
    cells,
    AUTOREGRESSION_MODEL,
    features + FIRST_DIFFERENCE,
    DIFFERENCES,
    target,
    forgetting,
    CLIP,
  );
  learnRegression(cells, PERIODIC_MODEL, features, FEATURES, target, forgetting, CLIP);
}

/** Brings the weights up to date: they sum to 1. */
function weigh(cells: Float64Array): void {
  let least = at(cells, LOSSES);
  for (let i = 1; i < EXPERTS; i++) least = Math.min(least, at(cells, LOSSES + i));
  let sum: f64 = 0;
  for (let i = 0; i < EXPERTS; i++) {
    const weight = decay(SHARPNESS * (at(cells, LOSSES + i) - least));
    cells[WEIGHTS + i] = weight;
    sum += weight;
  }
  for (let i = 0; i < EXPERTS; i++) cells[WEIGHTS + i] = at(cells, WEIGHTS + i) / sum;
}

/**
 * exp(-x) for x >= 0, as (1 - x / 1024)^1024: within x² / 2048 of it, and the same bits everywhere, which no engine's
 * own exponential promises.
 */
export function decay(x: f64): f64 {
  let power = Math.max(0, 1.0 - x / 1024.0);
  for (let i = 0; i < 10; i++) power *= power;
  return power;
}
