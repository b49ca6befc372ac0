/** What each plugin usually holds, learned from its own measured footprints. */

/** Measurements kept for each plugin; when they are full every second one is dropped and the pace is halved. */
const kept = 240;
/** Plugins tracked; the one measured longest ago leaves when another comes. */
const mostPlugins = 1_000;

interface History {
  bytes: number[];
  /** One measurement in so many is kept. */
  stride: number;
  seen: number;
}

/**
 * The median of a plugin's footprints over its whole life, at an even pace. The median and not the peak: a plugin that
 * leaked until it was shed starts small again, and one whose peak no longer fits must not stay away for ever.
 */
export class LearnedFootprints {
  readonly #byPlugin = new Map<string, History>();

  /** Adds one measured footprint. */
  learn(plugin: string, bytes: number): void {
    const history = this.#byPlugin.get(plugin) ?? { bytes: [], stride: 1, seen: 0 };
    if (history.seen++ % history.stride === 0) history.bytes.push(bytes);
    if (history.bytes.length > kept) {
      history.bytes = history.bytes.filter((_, index) => index % 2 === 0);
      history.stride *= 2;
    }
    this.#byPlugin.delete(plugin);
    this.#byPlugin.set(plugin, history);
    if (this.#byPlugin.size <= mostPlugins) return;
    const oldest = this.#byPlugin.keys().next();
    if (!oldest.done) this.#byPlugin.delete(oldest.value);
  }

  /** Bytes that the plugin usually holds; null before it was ever measured. */
  usualBytes(plugin: string): number | null {
    const sorted = this.#byPlugin.get(plugin)?.bytes.toSorted((a, b) => a - b) ?? [];
    if (sorted.length === 0) return null;
    const middle = sorted.length >> 1;
    const upper = sorted[middle] ?? 0;
    return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
  }
}
