/** What each plugin holds when it starts, usually, and at most: learned from its own measured footprints. */

import { Growth } from "./growth.ts";

/** Measurements kept for each plugin; when they are full every second one is dropped and the pace is halved. */
const kept = 240;
/** Plugins tracked; the one measured longest ago leaves when another comes. */
const mostPlugins = 1_000;
/** What it holds until so long after it was ready is what it takes to start: a host that is busy starts it slowly. */
const startMs = 3_000;
/** Starts that are remembered. */
const mostStarts = 9;
/** Lives whose peak is remembered. */
export const mostPeaks = 32;
/** A start reserves this quantile of the peaks, and this much more. */
const peakQuantile = 0.95;
const peakMargin = 1.1;

interface History {
  bytes: number[];
  /** Their median; undefined since they changed. */
  usual: number | null | undefined;
  /** One measurement in so many is kept. */
  stride: number;
  seen: number;
  starts: number[];
  /** The largest of each life, the present one last. */
  peaks: number[];
  /** Until then it starts; Infinity: it is not ready yet. Null: it runs since before it was watched. */
  startsUntilMs: number | null;
  growth: Growth;
}

const median = (values: readonly number[]): number | null => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) return null;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
};

/** The nearest-rank quantile of `values`; null without any. */
const quantile = (values: readonly number[], share: number): number | null =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)] ?? null;

export class LearnedFootprints {
  readonly #byPlugin = new Map<string, History>();

  /** Adds one measured footprint, measured at `atMs`. */
  learn(plugin: string, bytes: number, atMs?: number): void {
    const history = this.#take(plugin);
    if (history.seen++ % history.stride === 0) {
      history.bytes.push(bytes);
      history.usual = undefined;
    }
    if (history.bytes.length > kept) {
      history.bytes = history.bytes.filter((_, index) => index % 2 === 0);
      history.stride *= 2;
    }
    const peak = history.peaks.length - 1;
    if (peak < 0) history.peaks.push(bytes);
    else history.peaks[peak] = Math.max(history.peaks[peak] ?? 0, bytes);
    if (atMs === undefined) return;
    history.growth.add(atMs, bytes);
    const { startsUntilMs, starts } = history;
    if (startsUntilMs === null || atMs > startsUntilMs) return;
    const start = starts.length - 1;
    starts[start] = Math.max(starts[start] ?? 0, bytes);
  }

  /** Peaks that were recorded in earlier runs, the oldest first: each counts as one of its lives, before those of this run. */
  remember(plugin: string, peaks: readonly number[]): void {
    const history = this.#take(plugin);
    history.peaks = [...peaks.filter((bytes) => bytes > 0), ...history.peaks].slice(-mostPeaks);
  }

  /** A process of it was started: a new life, whose first seconds tell what it takes. */
  started(plugin: string): void {
    const history = this.#take(plugin);
    history.startsUntilMs = Number.POSITIVE_INFINITY;
    history.growth.reset();
    if (history.starts.at(-1) !== 0) history.starts.push(0);
    if (history.starts.length > mostStarts) history.starts.shift();
    if (history.peaks.at(-1) !== 0) history.peaks.push(0);
    if (history.peaks.length > mostPeaks) history.peaks.shift();
  }

  /** It takes requests now: what it grows by after some seconds more is no part of its start. */
  ready(plugin: string, atMs: number): void {
    const history = this.#take(plugin);
    if (history.startsUntilMs === Number.POSITIVE_INFINITY) history.startsUntilMs = atMs + startMs;
  }

  /** Whether what it takes on at `atMs` is its start, not its growth. */
  isStarting(plugin: string, atMs: number): boolean {
    const untilMs = this.#byPlugin.get(plugin)?.startsUntilMs ?? Number.NEGATIVE_INFINITY;
    return atMs <= untilMs;
  }

  /**
   * Bytes that the plugin usually holds: the median over its whole life, at an even pace; null before it was ever measured. The
   * median and not the peak: a plugin that leaked until it was shed starts small again, and one whose peak no longer fits
   * must not stay away for ever.
   */
  usualBytes(plugin: string): number | null {
    const history = this.#byPlugin.get(plugin);
    if (!history) return null;
    if (history.usual === undefined) history.usual = median(history.bytes);
    return history.usual;
  }

  /** Bytes that it holds some seconds after a start, the median of its last starts; null before one was measured. */
  startBytes(plugin: string): number | null {
    return median((this.#byPlugin.get(plugin)?.starts ?? []).filter((bytes) => bytes > 0));
  }

  /** Bytes that a start reserves: the 95 % quantile of the peaks of its lives, and a tenth more; null before there is one. */
  peakBytes(plugin: string): number | null {
    const peaks = (this.#byPlugin.get(plugin)?.peaks ?? []).filter((bytes) => bytes > 0);
    const most = quantile(peaks, peakQuantile);
    return most === null ? null : Math.round(most * peakMargin);
  }

  /** Bytes that it takes on each second now; null while too little is known. */
  growthPerSecond(plugin: string): number | null {
    return this.#byPlugin.get(plugin)?.growth.perSecond ?? null;
  }

  #take(plugin: string): History {
    const history = this.#byPlugin.get(plugin) ?? {
      bytes: [],
      usual: null,
      stride: 1,
      seen: 0,
      starts: [],
      peaks: [],
      startsUntilMs: null,
      growth: new Growth(),
    };
    this.#byPlugin.delete(plugin);
    this.#byPlugin.set(plugin, history);
    const [oldest] = this.#byPlugin.keys();
    if (this.#byPlugin.size > mostPlugins && oldest !== undefined) this.#byPlugin.delete(oldest);
    return history;
  }
}
