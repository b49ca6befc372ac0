/** One step of an exponential moving average; `alpha` is the weight of the newest value. */
export function emaStep(previous: number, value: number, alpha: number): number {
  return alpha * value + (1 - alpha) * previous;
}
