/**
 * Anomalies of memory, told once when each begins. Pure: what is known goes in, what began comes out.
 *
 *   residual   an outcome lay twice as far from its forecast as the 95 % interval reached
 *   spike      more growth within 30 s than twice what is usual at most
 *   growth     a significant rise that goes on for a whole horizon and would cover 1 % of the budget in another
 */
import type { AdaptiveNews, MemoryTrend } from "./adaptive.ts";

export type AnomalyKind = "residual" | "spike" | "growth";

/** An anomaly that began; `value` is what made it one: half-widths, times the usual, percent of the budget a minute. */
export interface MemoryAnomaly {
  kind: AnomalyKind;
  atMs: number;
  value: number;
  detail: string;
}

const surprisingHalfWidths = 2;
const spikeRatio = 2;
const leastGrowthPercent = 1;

export class AnomalyWatch {
  #surprised = false;
  #risingSinceMs: number | null = null;
  #growing = false;

  constructor(private readonly horizonMs: number) {}

  /** What began with the newest point. */
  look(atMs: number, news: AdaptiveNews, trend: MemoryTrend): MemoryAnomaly[] {
    return [...this.#residual(atMs, news), ...spike(atMs, news), ...this.#growth(atMs, trend)];
  }

  #residual(atMs: number, { surprise }: AdaptiveNews): MemoryAnomaly[] {
    const before = this.#surprised;
    if (surprise >= surprisingHalfWidths) this.#surprised = true;
    // Outcomes of overlapping horizons miss together: it ends with the first one that lies inside.
    else if (surprise > 0 && surprise < 1) this.#surprised = false;
    if (before || !this.#surprised) return [];
    const detail = `memory lies ${surprise.toFixed(1)} half-widths of its interval from the forecast`;
    return [{ kind: "residual", atMs, value: surprise, detail }];
  }

  #growth(atMs: number, { slopePerSecond, significant }: MemoryTrend): MemoryAnomaly[] {
    const rises =
      significant && slopePerSecond > 0 && (slopePerSecond * this.horizonMs) / 1_000 >= leastGrowthPercent;
    if (!rises) {
      this.#risingSinceMs = null;
      this.#growing = false;
      return [];
    }
    this.#risingSinceMs ??= atMs;
    if (this.#growing || atMs - this.#risingSinceMs < this.horizonMs) return [];
    this.#growing = true;
    const perMinute = slopePerSecond * 60;
    const detail = `memory grows by ${perMinute.toFixed(2)} % of the budget a minute`;
    return [{ kind: "growth", atMs, value: perMinute, detail }];
  }
}

function spike(atMs: number, { riseRatio }: AdaptiveNews): MemoryAnomaly[] {
  if (riseRatio < spikeRatio) return [];
  const detail = `memory rose ${riseRatio.toFixed(1)} times as fast as is usual at most, within 30 s`;
  return [{ kind: "spike", atMs, value: riseRatio, detail }];
}
