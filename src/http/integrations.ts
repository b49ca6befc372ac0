/** `/api/v1/integrations`: what each platform answered, minute by minute. */

import { Hono } from "hono";
import * as z from "zod";
import type { IntegrationMetricsRow } from "../storage/integration-metrics.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import { isoTime, type Services } from "./services.ts";

/** Without `since`, the last hour. */
const usualSpanMs = 3_600_000;

const query = z.strictObject({
  platform: z.string().min(1).max(64).optional(),
  since: z.iso.datetime({ offset: true, error: "expected a time such as 2026-01-31T08:00:00Z" }).optional(),
  limit: wholeNumber(1, 1_000).default(240),
});

/** The latest minutes, the newest first. A minute is in it once it is over; a time or size of null was not measured. */
export function integrationRoutes({ clock, storage }: Services): Hono {
  const app = new Hono();
  app.get("/", (context) => {
    const checked = checkedQuery(context, query);
    if (!checked.ok) return checked.response;
    const { platform, since, limit } = checked.value;
    const sinceMs = since === undefined ? clock.nowMs() - usualSpanMs : Date.parse(since);
    const rows = storage.integrationMetrics.recent({ platformName: platform, sinceMs, limit });
    return context.json({ sinceAt: isoTime(sinceMs), integrations: rows.map(rowView) });
  });
  return app;
}

const rowView = ({ timestampMs, platformName, responseTimeMs, ...rest }: IntegrationMetricsRow) => ({
  at: isoTime(timestampMs),
  platform: platformName,
  averageResponseTimeMs: responseTimeMs,
  requestCount: rest.requestCount,
  errorCount: rest.errorCount,
  resourceUsageBytes: rest.resourceUsageBytes,
});
