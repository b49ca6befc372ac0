/** Step "webhooks": events out of the conductor, and their count. */

import type { Config } from "../config/schema.ts";
import { version } from "../version.ts";
import { post } from "../webhooks/post.ts";
import type { WebhookSettings } from "../webhooks/webhook.ts";
import { Webhooks } from "../webhooks/webhooks.ts";
import type { ConductorOptions, Foundation } from "./foundation.ts";
import type { State } from "./make-state.ts";

/** Counts every event from now on, and posts those that somebody wants. Throws when a secret is not there. */
export function openWebhooks(foundation: Foundation, { metrics, storage }: State): Webhooks {
  const { loaded, environment, clock, log, events, startup } = foundation;
  events.subscribe(({ name }) => metrics.countEvent(name));
  const webhooks = new Webhooks(settingsOf(loaded.config, environment), {
    clock,
    log,
    bus: events,
    post,
    random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
    version,
    letters: storage.webhookLetters,
    counted: (outcome, webhook, events) => {
      metrics.countWebhookDelivery(outcome, events);
      if (outcome === "dropped") metrics.countEventDrops(`webhook ${webhook}`);
    },
  });
  startup.onEnd("webhooks", () => webhooks.stop());
  webhooks.begin();
  return webhooks;
}

/** A line for each webhook whose key is not in the environment. */
export function missingSecrets({ webhooks }: Config, environment: ConductorOptions["environment"]): string[] {
  return webhooks.flatMap(({ name, secret }) =>
    secret !== undefined && !environment[secret]
      ? [`${name}: secret: the environment variable ${secret} is not set; set it, or leave secret out`]
      : [],
  );
}

/** The configured webhooks with their keys. Throws with a line for each that is missing. */
function settingsOf(config: Config, environment: ConductorOptions["environment"]): WebhookSettings[] {
  const missing = missingSecrets(config, environment);
  if (missing.length > 0) throw new Error(missing.join("\n"));
  return config.webhooks.map(({ name, url, events, secret, timeout, attempts, backoff }) => ({
    name,
    url,
    events,
    secret: secret === undefined ? null : (environment[secret] ?? null),
    timeoutMs: timeout,
    attempts,
    backoff: { initialMs: backoff.initial, maxMs: backoff.max },
  }));
}
