/** What each platform's requests came to since the last drain: rows for the once-a-minute `integration_metrics`. */

import type { Outcome, RouteObserver } from "./outcome.ts";

/** One platform's requests of one period; a platform without requests has no row. */
export interface PlatformTraffic {
  platform: string;
  requestCount: number;
  /** Requests that the platform itself did not answer, though a fallback may have. */
  errorCount: number;
  averageResponseTimeMs: number;
  maxResponseTimeMs: number;
}

interface Counts {
  requests: number;
  errors: number;
  totalMs: number;
  maxMs: number;
}

/** Most platforms counted apart in one period; requests to further ones are counted together as "other". */
const maxPlatforms = 256;

export class RouteStatistics implements RouteObserver {
  #counts = new Map<string, Counts>();
  #total = 0;

  /** All requests so far, whatever came of them. */
  get total(): number {
    return this.#total;
  }

  /** Unknown platforms and clients that left say nothing about a platform: they are not counted. */
  routed(outcome: Outcome): void {
    this.#total++;
    if (outcome.kind === "refused" && (outcome.status === 404 || outcome.status === 499)) return;
    const counts = this.#of(outcome.platform);
    counts.requests++;
    if (outcome.kind === "refused" || outcome.degraded) counts.errors++;
    counts.totalMs += outcome.durationMs;
    counts.maxMs = Math.max(counts.maxMs, outcome.durationMs);
  }

  /** The rows since the last drain, which begin anew. */
  drain(): PlatformTraffic[] {
    const drained = this.#counts;
    this.#counts = new Map();
    return [...drained].map(([platform, counts]) => ({
      platform,
      requestCount: counts.requests,
      errorCount: counts.errors,
      averageResponseTimeMs: counts.totalMs / counts.requests,
      maxResponseTimeMs: counts.maxMs,
    }));
  }

  #of(platform: string): Counts {
    const known = this.#counts.get(platform);
    if (known) return known;
    const label = this.#counts.size < maxPlatforms ? platform : "other";
    const counts = this.#counts.get(label) ?? { requests: 0, errors: 0, totalMs: 0, maxMs: 0 };
    this.#counts.set(label, counts);
    return counts;
  }
}
