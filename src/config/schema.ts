/** The shape of `conductor.yaml`: every key with its default, unit and meaning. */

import * as z from "zod";
import { mostPatterns, patternProblem } from "../events/pattern.ts";
import { ladder } from "./ladder-schema.ts";
import { models } from "./models-schema.ts";
import { bytes, count, duration, pluginName, ratio } from "./quantities.ts";
import { routingRules } from "./routing-schema.ts";
import { scaler } from "./scaler-schema.ts";
import { shadows } from "./shadow-schema.ts";

const http = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on"),
  port: count(0, 65_535).default(8420).describe("Port to listen on; 0 takes a free one"),
  allowedHosts: z
    .array(z.string().min(1))
    .default([])
    .describe("Further names under which clients may address this server (Host header), such as a proxy's"),
  maxBody: bytes().prefault("1MiB").describe("Largest request body"),
});

const storage = z.strictObject({
  path: z
    .string()
    .min(1)
    .optional()
    .describe("Database file; default: conductor.db in $STATE_DIRECTORY, $XDG_STATE_HOME or ~/.local/state"),
  retention: z
    .strictObject({
      samples: duration().prefault("7d").describe("How long samples are kept"),
      metrics: duration().prefault("30d").describe("How long integration_metrics are kept"),
      decisions: duration().prefault("365d").describe("How long decisions are kept"),
    })
    .prefault({}),
});

const budget = z.strictObject({
  memory: bytes(2 ** 24)
    .optional()
    .describe(
      "Most memory the host may use; default: the host's, or its cgroup's limit where that is smaller",
    ),
});

const monitor = z.strictObject({
  interval: duration(10, 3_600_000, "10ms to 1h").prefault("30s").describe("Time between samples"),
  window: count(2, 10_000).default(60).describe("Samples kept in memory: 60 of 30 s are half an hour"),
  anomalySigma: z
    .number()
    .min(1)
    .max(10)
    .default(3)
    .describe("Deviations from the mean that make an anomaly"),
  disk: z.string().min(1).default("/").describe("Path whose file system's free space is watched"),
  reflex: z
    .strictObject({
      slowest: duration(50, 60_000, "50ms to 1m")
        .prefault("1s")
        .describe("Memory is read this often when calm"),
      fastest: duration(10, 1_000, "10ms to 1s")
        .prefault("50ms")
        .describe("and this often when memory is short"),
    })
    .prefault({})
    .refine((reflex) => reflex.fastest <= reflex.slowest, {
      path: ["fastest"],
      message: "expected at most monitor.reflex.slowest",
    }),
});

const forecast = z.strictObject({
  method: z
    .enum(["adaptive", "ols"])
    .default("adaptive")
    .describe("adaptive: experts mixed by their errors; ols: the line. The other one is reported beside it"),
  horizon: duration(1_000, 86_400_000, "1s to 1d").prefault("5m").describe("How far ahead"),
  points: count(3, 1_024).default(50).describe("Samples the line is fitted to"),
  minPoints: count(3, 1_024).default(10).describe("With fewer samples the forecast is cold"),
  emaAlpha: z
    .number()
    .gt(0)
    .max(1)
    .default(0.7)
    .describe("Weight of the newest forecast in the smoothed one"),
  retrain: duration(60_000, 31 * 86_400_000, "1m to 31d")
    .prefault("1d")
    .describe("The adaptive forecast is trained anew on what is stored this often"),
  kernel: z
    .enum(["auto", "wasm", "js"])
    .default("auto")
    .describe("auto: WASM, or JavaScript where that fails"),
});

const health = z.strictObject({
  interval: duration(100, 3_600_000, "100ms to 1h")
    .prefault("5s")
    .describe("Each plugin is checked this often"),
  timeout: duration(10, 600_000, "10ms to 10m")
    .prefault("5s")
    .describe("A check without an answer by then failed"),
  failures: count(1, 100).default(3).describe("Failures in a row that mark a platform failed"),
  slow: duration().prefault("200ms").describe("A slower answer is degraded"),
});

const breaker = z.strictObject({
  failures: count(1, 1_000).default(3).describe("Failures in a row that open a platform's breaker"),
  thresholds: z
    .strictObject({
      timeout: count(1, 1_000).optional().describe("Requests without an answer in time"),
      error: count(1, 1_000).optional().describe("Answers that are an error, or none"),
      crash: count(1, 1_000).optional().describe("The process ended, or is not reached"),
    })
    .prefault({})
    .describe(
      "The same for failures of one kind alone; default: breaker.failures. In a mixed row each counts for its share. A plugin that is busy never counts",
    ),
  reset: duration().prefault("30s").describe("An open breaker lets one request through after this time"),
  mostReset: duration()
    .prefault("8m")
    .describe("Each time it opens again breaker.reset is doubled, up to this; a longer breaker.reset stays"),
  stable: duration().prefault("5m").describe("Closed for so long, a breaker begins again with breaker.reset"),
});

const routing = z.strictObject({
  rules: routingRules,
  concurrency: z
    .strictObject({
      kind: z
        .enum(["adaptive", "fixed"])
        .default("adaptive")
        .describe(
          "Requests that a plugin is given at once: as many as it takes without slowing down, or always as many",
        ),
      limit: count(1, 10_000)
        .optional()
        .describe(
          "fixed: so many, adaptive: at most so many; default: limits.concurrency of all its processes",
        ),
    })
    .prefault({}),
  retries: z
    .strictObject({
      most: count(0, 10)
        .default(3)
        .describe("A request that may be repeated is tried again so often; 0: never"),
      budget: ratio()
        .prefault("10%")
        .describe("Retries of 10 s come to at most this share of the requests, of each platform and of all"),
    })
    .prefault({}),
});

const plugins = z.strictObject({
  dirs: z
    .array(z.string().min(1))
    .optional()
    .describe("Folders that hold one folder a plugin; default: ./plugins if there is one"),
  bundled: z
    .boolean()
    .optional()
    .describe("Also run the plugins inside the executable; default: if no folder is used"),
  grace: duration(0, 600_000, "0s to 10m").prefault("5s").describe("From the end signal to the kill"),
  startTimeout: duration(10, 600_000, "10ms to 10m")
    .prefault("10s")
    .describe("A start takes at most this long"),
  config: z
    .record(z.string(), z.record(z.string(), z.json()))
    .default({})
    .describe("Handed to the plugin of that name when it starts"),
});

/** A list of event patterns; `problemOf` says what is wrong with one, null when nothing is. */
export const eventPatterns = (problemOf: (pattern: string) => string | null) =>
  z
    .array(
      z.string().superRefine((pattern, context) => {
        const message = problemOf(pattern);
        if (message !== null) context.addIssue({ code: "custom", message });
      }),
    )
    .max(mostPatterns);

/** Log lines may hold what is nobody else's business: they do not leave the host. */
const webhookPatternProblem = (pattern: string): string | null =>
  pattern === "plugin.log" ? "webhooks are not told the log lines of plugins" : patternProblem(pattern);

const webhook = z.strictObject({
  name: pluginName.optional().describe("In status, log and metrics; default: webhook-1, webhook-2 …"),
  url: z
    .string()
    .refine((text) => isWebUrl(text), "expected a URL that begins with http:// or https://, without a user")
    .describe("Where events are posted to, as JSON"),
  events: eventPatterns(webhookPatternProblem)
    .min(1)
    .default(["*"])
    .describe('Which: names, groups ("plugin.*") or all ("*"); never the log lines of plugins'),
  secret: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected the name of an environment variable")
    .refine((name) => !name.startsWith("CONDUCTOR_"), "expected a name that does not begin with CONDUCTOR_")
    .optional()
    .describe("Environment variable that holds the key which deliveries are signed with"),
  timeout: duration(10, 60_000, "10ms to 1m").prefault("10s").describe("An attempt without an answer failed"),
  attempts: count(1, 20).default(6).describe("Most attempts for one event"),
  backoff: z
    .strictObject({
      initial: duration(1, 3_600_000, "1ms to 1h").prefault("1s").describe("Before the second attempt"),
      max: duration(1, 3_600_000, "1ms to 1h")
        .prefault("5m")
        .describe("Each wait is twice the last, up to this"),
    })
    .prefault({}),
});

function isWebUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}

/** Each under a name of its own. */
const webhooks = z
  .array(webhook)
  .max(16)
  .transform((list) => list.map((each, index) => ({ ...each, name: each.name ?? `webhook-${index + 1}` })))
  .superRefine((list, context) => {
    list.forEach(({ name }, index) => {
      if (list.findIndex((other) => other.name === name) < index)
        context.addIssue({ code: "custom", path: [index, "name"], message: `"${name}" stands twice` });
    });
  })
  .prefault([]);

const deadLetters = z.strictObject({
  onFailure: z
    .record(z.string(), z.enum(["refuse", "park"]))
    .default({})
    .describe(
      "By platform: park keeps what cannot be answered, for later; refuse (default) is for clients that wait",
    ),
  ttl: duration(1_000, 31 * 86_400_000, "1s to 31d")
    .prefault("1d")
    .describe("A dead letter older than this is not sent any more"),
  maxCount: count(1, 1_000_000).default(10_000).describe("Dead letters kept; the oldest leave"),
  maxBytes: bytes().prefault("64MiB").describe("What they may take together"),
  maxAge: duration(1_000, 366 * 86_400_000, "1s to 366d")
    .prefault("7d")
    .describe("How long they are kept, sent or not"),
  rate: count(1, 1_000).default(10).describe("Dead letters sent a second, for each platform"),
  redrives: count(1, 100)
    .default(5)
    .describe("A dead letter that failed this often is poison: a person has to look"),
  backoff: z
    .strictObject({
      initial: duration(1, 86_400_000, "1ms to 1d")
        .prefault("1s")
        .describe("From a failed redrive to the next; doubled for each further one"),
      max: duration(1, 86_400_000, "1ms to 1d").prefault("1m").describe("and at most this"),
    })
    .prefault({}),
});

const idempotency = z.strictObject({
  maxKeys: count(1, 1_000_000).default(10_000).describe("Keys whose answers are kept; the oldest leave"),
  maxBytes: bytes().prefault("16MiB").describe("What the answers may take together"),
  ttl: duration(1_000, 31 * 86_400_000, "1s to 31d")
    .prefault("24h")
    .describe("How long an answer is kept"),
  wait: duration(0, 600_000, "0s to 10m")
    .prefault("10s")
    .describe("A duplicate waits this long for the first one, then it is told to ask again"),
});

const log = z.strictObject({
  level: z.enum(["debug", "info", "warn", "error"]).default("info"),
  format: z
    .enum(["auto", "json", "pretty"])
    .default("auto")
    .describe("auto: pretty on a terminal, else JSON"),
});

/** The whole file. `z.input` is what a person writes, `z.output` what the program reads. */
export const configSchema = z.strictObject({
  http: http.prefault({}).describe("The HTTP server"),
  storage: storage.prefault({}).describe("The database"),
  budget: budget.prefault({}).describe("What the host may use"),
  monitor: monitor.prefault({}).describe("What is measured, and how often"),
  forecast: forecast
    .prefault({})
    .refine((value) => value.minPoints <= value.points, {
      path: ["minPoints"],
      message: "expected at most forecast.points",
    })
    .describe("The memory forecast"),
  scaler: scaler.describe("When plugins are shed and restored"),
  shadow: shadows.describe(
    "Policies that decide beside the scaler's and do nothing: [{name: late, policy: adaptive}]",
  ),
  health: health.prefault({}).describe("Health checks"),
  breaker: breaker.prefault({}).describe("Circuit breakers"),
  routing: routing.prefault({}).describe("Where requests go, and how they get there"),
  plugins: plugins.prefault({}).describe("Which plugins run"),
  models: models.describe(
    "Local models, the best first: [{name: large, engine: llama, model: /models/large.gguf, context: 8192}]",
  ),
  ladder: ladder.describe("When a model gives way to a smaller one, and when a better one comes back"),
  webhooks: webhooks.describe(
    "Where events are posted to: [{url: https://…, events: [health.changed], secret: VARIABLE}]",
  ),
  deadLetters: deadLetters.prefault({}).describe("Requests that are kept to be answered later"),
  idempotency: idempotency.prefault({}).describe("Answers kept for requests that come twice"),
  log: log.prefault({}).describe("Log lines on stderr"),
});

/** One frozen, validated configuration: bytes, milliseconds and ratios (0..1). */
export type Config = Readonly<z.output<typeof configSchema>>;
