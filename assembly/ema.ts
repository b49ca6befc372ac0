/** One step of an exponential moving average; `alpha` is the weight of the newest value. */
export function emaStep(previous: f64, value: f64, alpha: f64): f64 {
  return alpha * value + (1.0 - alpha) * previous;
}
