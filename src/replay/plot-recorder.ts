/** Keeps of a running simulation what a picture of it needs. */

import type { SimulatedHost } from "./host.ts";
import type { PlotData } from "./plot.ts";
import type { SimulatedState } from "./simulated-plugin.ts";

/** Points kept; when they are full every second one is dropped and the pace is halved: more than a picture has pixels. */
const mostPoints = 20_000;
/** Stretches of downtime and kills drawn; more cannot be told apart. */
const mostMarks = 20_000;

interface DownTime {
  fromMs: number;
  /** Infinity: it still is. */
  toMs: number;
}

export class PlotRecorder {
  #atMs: number[] = [];
  #used: number[] = [];
  #base: number[] = [];
  #stride = 1;
  #seen = 0;
  readonly #oomMs: number[] = [];
  readonly #down = new Map<string, DownTime[]>();

  readonly onOom = (atMs: number): void => {
    if (this.#oomMs.length < mostMarks) this.#oomMs.push(atMs);
  };

  readonly onState = (plugin: string, state: SimulatedState, atMs: number): void => {
    const down = this.#down.get(plugin) ?? [];
    this.#down.set(plugin, down);
    const last = down.at(-1);
    const isDown = last?.toMs === Number.POSITIVE_INFINITY;
    if (state === "running" && isDown) last.toMs = atMs;
    if (state !== "running" && !isDown && down.length < mostMarks)
      down.push({ fromMs: atMs, toMs: Number.POSITIVE_INFINITY });
  };

  readonly onTick = ({ nowMs, plugins, usedBytes, budgetBytes }: SimulatedHost): void => {
    if (this.#seen++ % this.#stride !== 0) return;
    const held = plugins.reduce((sum, plugin) => sum + plugin.bytesAt(nowMs), 0);
    this.#atMs.push(nowMs);
    this.#used.push(usedBytes / budgetBytes);
    this.#base.push((usedBytes - held) / budgetBytes);
    if (this.#atMs.length <= mostPoints) return;
    [this.#atMs, this.#used, this.#base] = [halved(this.#atMs), halved(this.#used), halved(this.#base)];
    this.#stride *= 2;
  };

  /** `availability` (0..1) by plugin. */
  data(
    rest: Pick<PlotData, "title" | "beginMs" | "endMs" | "lines">,
    availability: Readonly<Record<string, number>>,
  ): PlotData {
    return {
      ...rest,
      atMs: this.#atMs,
      usedRatio: this.#used,
      baseRatio: this.#base,
      plugins: [...this.#down].map(([name, down]) => ({ name, down, availability: availability[name] ?? 0 })),
      oomMs: this.#oomMs,
    };
  }
}

const halved = (values: readonly number[]): number[] => values.filter((_, i) => i % 2 === 0);
