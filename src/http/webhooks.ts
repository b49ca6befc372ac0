/** `/api/v1/webhooks`: where events are posted to, how that goes, and what could not be delivered. */

import { Hono } from "hono";
import { shownEvent } from "../events/events.ts";
import { isoTime, isoTimeOrNull, type Services } from "./services.ts";

export function webhookRoutes({ webhooks }: Services): Hono {
  const app = new Hono();
  app.get("/", (context) =>
    context.json({
      webhooks: webhooks.status().map(({ lastDeliveredMs, lastFailure, ...rest }) => ({
        ...rest,
        lastDeliveredAt: isoTimeOrNull(lastDeliveredMs),
        lastFailure: lastFailure && { at: isoTime(lastFailure.atMs), reason: lastFailure.reason },
      })),
      undelivered: webhooks.undelivered().map(({ atMs, event, ...rest }) => ({
        at: isoTime(atMs),
        ...rest,
        event: shownEvent(event),
      })),
    }),
  );
  return app;
}
