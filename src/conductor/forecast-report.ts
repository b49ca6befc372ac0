/** What a new point means for those who watch the forecast: metrics, anomalies, drift. */

import type { EventBus } from "../events/bus.ts";
import { AnomalyWatch, type MemoryAnomaly } from "../forecast/anomaly-watch.ts";
import { LineCrossings } from "../forecast/line-crossings.ts";
import type { MemoryForecast } from "../forecast/memory-forecast.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { ForecastLearning } from "./forecast-learning.ts";

/** So many anomalies are kept for those who ask. */
const mostAnomalies = 50;

export class ForecastReport {
  readonly #anomalies: MemoryAnomaly[] = [];
  readonly #watch: AnomalyWatch;
  readonly #crossings = { shed: new LineCrossings(), emergency: new LineCrossings() };

  constructor(
    private readonly parts: {
      forecast: MemoryForecast;
      learning: ForecastLearning;
      events: EventBus;
      metrics: Metrics;
      log: Log;
      horizonMs: number;
      shedRatio: () => number;
      emergencyRatio: () => number;
    },
  ) {
    this.#watch = new AnomalyWatch(parts.horizonMs);
  }

  /** The newest first. */
  anomalies(): readonly MemoryAnomaly[] {
    return this.#anomalies.toReversed();
  }

  /** Looks at what the newest point made known. */
  onPoint(atMs: number): void {
    const { forecast, learning, metrics, shedRatio } = this.parts;
    const [report, mix] = [forecast.report(), forecast.mix()];
    const trend = forecast.trend(shedRatio());
    metrics.setForecast(report, report?.state ?? "none");
    metrics.setForecastQuality({
      calibration: mix?.calibration ?? "none",
      coverageRatio: mix?.recentCoverage ?? null,
      weights: mix?.weights ?? {},
      secondsToThreshold: trend.crossing?.seconds ?? null,
    });
    if (report?.state === "ready") this.#tellCrossings(report.smoothedRatio);
    const news = forecast.news();
    if (news.drifted) learning.drifted(atMs);
    for (const anomaly of this.#watch.look(atMs, news, trend)) this.#tell(anomaly);
  }

  #tellCrossings(smoothedRatio: number): void {
    const { events, horizonMs, shedRatio, emergencyRatio } = this.parts;
    const lines = { shed: shedRatio(), emergency: emergencyRatio() };
    for (const threshold of ["shed", "emergency"] as const) {
      const crossing = this.#crossings[threshold].look(smoothedRatio, lines[threshold]);
      if (crossing === null) continue;
      const { direction, valueRatio, lineRatio } = crossing;
      events.publish("forecast.crossing", {
        threshold,
        direction,
        valueRatio,
        thresholdRatio: lineRatio,
        horizonMs,
      });
    }
  }

  #tell(anomaly: MemoryAnomaly): void {
    const { events, metrics, log } = this.parts;
    this.#anomalies.push(anomaly);
    if (this.#anomalies.length > mostAnomalies) this.#anomalies.shift();
    const { kind, value, detail } = anomaly;
    events.publish("forecast.anomaly", { kind, value, detail });
    metrics.countForecastAnomaly(kind);
    log.info("forecast.anomaly", { kind, value, detail });
  }
}
