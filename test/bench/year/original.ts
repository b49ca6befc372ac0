/**
 * The rule of the Python program that conductor replaces, with its mistakes: it forecasts a point in the past, looks again
 * half a second after a stop at a sample of before it, so that one crossing stops everything, and stops the last one too.
 */

import type { SimulatedHost } from "../../../src/replay/host.ts";
import { NoProtection, type Orders } from "../../../src/replay/judge.ts";

const windowSamples = 60;
/** The index that it takes for ten steps ahead; the window's own indices go up to 59. */
const predictedIndex = 10;
const emaAlpha = 0.7;
const [shedRatio, restoreRatio] = [0.8, 0.65];
const leastSamples = 10;

export class OriginalRule extends NoProtection {
  readonly #window: number[] = [];
  #smoothed: number | null = null;
  #host: SimulatedHost | null = null;
  /** Stopped, the last one last. */
  readonly #stopped: string[] = [];
  #restored = false;

  constructor(private readonly order: readonly string[]) {
    super();
  }

  override watch(host: SimulatedHost): void {
    this.#host = host;
  }

  override onSample(): void {
    const { usedBytes = 0, budgetBytes = 1 } = this.#host ?? {};
    this.#window.push(usedBytes / budgetBytes);
    if (this.#window.length > windowSamples) this.#window.shift();
    this.#restored = false;
    if (this.#window.length < leastSamples) return;
    const predicted = lineAt(this.#window, predictedIndex);
    this.#smoothed = emaAlpha * predicted + (1 - emaAlpha) * (this.#smoothed ?? predicted);
  }

  /** Asked at each sample, and again after each stop: with the sample of before. */
  override onReading(): Orders {
    const current = this.#window.at(-1) ?? 0;
    const expected = this.#smoothed ?? current;
    const running = this.order.find((name) => this.#host?.plugin(name).holdsMemory);
    if (Math.max(current, expected) >= shedRatio) {
      if (running === undefined) return super.onReading();
      this.#stopped.push(running);
      const action = { kind: "shed" as const, plugin: running, urgent: false, expectedBytes: null };
      return { rule: "threshold", reason: "memory over 80 %", actions: [action] };
    }
    const back = this.#stopped.at(-1);
    if (back === undefined || this.#restored || Math.max(current, expected) >= restoreRatio)
      return super.onReading();
    this.#stopped.pop();
    this.#restored = true;
    const action = { kind: "restore" as const, plugin: back, urgent: false, expectedBytes: null };
    return { rule: "restore", reason: "memory under 65 %", actions: [action] };
  }
}

/** The least-squares line through the values at 0, 1, 2, …, at an index. */
function lineAt(values: readonly number[], index: number): number {
  const n = values.length;
  const middle = (n - 1) / 2;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  let [products, squares] = [0, 0];
  values.forEach((value, i) => {
    products += (i - middle) * (value - mean);
    squares += (i - middle) ** 2;
  });
  return mean + (products / squares) * (index - middle);
}
