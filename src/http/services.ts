/** What the HTTP server shows and drives. */

import type { Clock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { ShadowSettings } from "../config/shadow-schema.ts";
import type { EventLog } from "../events/event-log.ts";
import type { MemoryAnomaly } from "../forecast/anomaly-watch.ts";
import type { MemoryForecast } from "../forecast/memory-forecast.ts";
import type { Breakers } from "../health/breakers.ts";
import type { HealthMonitor } from "../health/monitor.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { ModelServing } from "../models/serving.ts";
import type { FootprintReading } from "../monitor/footprint.ts";
import type { SampleWindow } from "../monitor/window.ts";
import type { LogTail } from "../plugins/log-tail.ts";
import type { PluginManager } from "../plugins/manager.ts";
import type { Intake } from "../routing/intake.ts";
import type { Redriver } from "../routing/redrive.ts";
import type { Router } from "../routing/router.ts";
import type { Order, Ordered, Promoted } from "../scaler/promotion.ts";
import type { Scaler } from "../scaler/scaler.ts";
import type { Shadows } from "../scaler/shadows.ts";
import type { Policy } from "../scaler/situation.ts";
import type { PromotionRow } from "../storage/promotions.ts";
import type { Storage } from "../storage/storage.ts";
import type { Webhooks } from "../webhooks/webhooks.ts";

/** The shadow policies, and which of them acts. */
export interface ShadowPort {
  shadows: Pick<Shadows, "views">;
  desk: {
    acting: Policy;
    configured: Policy;
    /** Null: the configured policy acts. */
    promoted: Promoted | null;
    rollback(order: Order): Ordered;
    history(limit: number): PromotionRow[];
  };
  /** As configured, and since when each has been watched. */
  watched(): readonly { name: string; policy: Policy; sinceMs: number; settings: ShadowSettings }[];
  /** What the evidence for it was last found to be; null: nothing yet, or it needs a person. */
  judged(name: string): { atMs: number; enough: boolean; because: string } | null;
  /** Null: there is none of that name. */
  promote(name: string, order: Order): Ordered | null;
}

export interface Services {
  clock: Clock;
  log: Log;
  config: Config;
  /** The thresholds in force. */
  policy: () => Policy;
  startedAtMs: number;
  router: Router;
  intake: Intake;
  redriver: Redriver;
  health: HealthMonitor;
  breakers: Breakers;
  storage: Storage;
  metrics: Metrics;
  manager: PluginManager;
  /** The last events. */
  events: EventLog;
  webhooks: Webhooks;
  /** The last lines of each plugin. */
  logs: LogTail;
  /** As last measured. */
  footprintOf: (plugin: string) => FootprintReading | null;
  window: SampleWindow;
  /** Failed reads of the host, by source. */
  gaps: () => Record<string, number>;
  reflexDelayMs: () => number;
  forecast: MemoryForecast;
  /** The newest first. */
  forecastAnomalies: () => readonly MemoryAnomaly[];
  /** Why the JavaScript kernel runs; null when WASM does, or JavaScript was asked for. */
  kernelFellBackBecause: string | null;
  scaler: Scaler;
  /** Policies beside the one that acts. */
  shadows: ShadowPort;
  /** Null: none is configured. */
  models: ModelServing | null;
  /** Null once everything has started; else what is still waited for. */
  notReadyBecause: () => string | null;
}

/** A time as every answer writes it: ISO 8601, UTC. */
export const isoTime = (atMs: number): string => new Date(atMs).toISOString();

export const isoTimeOrNull = (atMs: number | null): string | null => (atMs === null ? null : isoTime(atMs));
