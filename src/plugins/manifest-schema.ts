/** The shape of `plugin.yaml`: every key with its default, unit and meaning. */

import * as z from "zod";
import { bytes, duration, pluginName } from "../config/quantities.ts";
import { eventPatterns } from "../config/schema.ts";
import { parseDurationMs } from "../config/units.ts";
import { pluginPatternProblem } from "./event-view.ts";

const whole = (min: number, max: number) => {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z.number({ error: expected }).int({ error: expected }).min(min, expected).max(max, expected);
};

const versionText = 'expected a semantic version in quotes or with two dots, such as "1.2.0"';
/** https://semver.org, question 2 of its FAQ, with numbers short enough to be exact. */
const semanticVersionPattern =
  /^(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
const semanticVersion = z
  .string({ error: versionText })
  .max(64, versionText)
  .regex(semanticVersionPattern, versionText);

const comparator = String.raw`(?:[~^]|[<>]=?|=)?\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?`;
const requirementPattern = new RegExp(
  String.raw`^([a-z][a-z0-9-]{0,63})(?:@(\*|${comparator}(?: +${comparator}){0,3}))?$`,
);

/** Processes of one plugin. */
export const mostInstances = 64;

/** Another plugin that must be ready first, and the versions of it that will do. */
export interface Requirement {
  name: string;
  /** As `Bun.semver.satisfies` reads it; "*" for any. */
  range: string;
}

const requirement = z
  .string({ error: 'expected a plugin with a version range, such as "stubs@^1"' })
  .transform((text, context): Requirement => {
    const match = requirementPattern.exec(text);
    if (match?.[1]) return { name: match[1], range: match[2] ?? "*" };
    context.issues.push({
      code: "custom",
      input: text,
      message: 'expected a plugin, perhaps with a version range, such as "stubs" or "stubs@^1"',
    });
    return z.NEVER;
  });

const rate = z
  .string({ error: 'expected a count in a time, such as "5 per 10m"' })
  .transform((text, context) => {
    const match = /^\s*(\d{1,4})\s+per\s+(\S+)\s*$/.exec(text);
    const windowMs = parseDurationMs(match?.[2] ?? "");
    if (match && typeof windowMs === "number" && windowMs > 0) return { count: Number(match[1]), windowMs };
    context.issues.push({
      code: "custom",
      input: text,
      message: 'expected a count in a time, such as "5 per 10m"',
    });
    return z.NEVER;
  });

const command = z.array(z.string().min(1).max(4_096)).min(1).max(64);

const limits = z
  .strictObject({
    memory: bytes(2 ** 20)
      .optional()
      .describe("Most memory of one instance with all that it starts"),
    cpu: z.number().positive().max(1_024).optional().describe("Cores"),
    processes: whole(1, 65_536).default(512).describe("Most processes and threads of one instance"),
    openFiles: whole(16, 1_048_576).default(4_096).describe("Most open files of each process"),
    concurrency: whole(1, 10_000).default(16).describe("Requests at a time, for each instance"),
    queue: whole(0, 10_000).default(256).describe("Requests that wait; one more is answered with 429"),
    logRate: bytes(1_024).prefault("64KiB").describe("Output passed on a second; the rest is dropped"),
    requestTimeout: duration(1, 3_600_000, "1ms to 1h")
      .prefault("5s")
      .describe("A request without an answer by then failed"),
  })
  .prefault({});

const permissions = z
  .strictObject({
    env: z
      .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected the name of an environment variable"))
      .default([])
      .describe("Environment variables it is given; no other reaches it"),
    net: z.boolean().default(false).describe("Whether it uses the network"),
    write: z.array(z.string().min(1)).default([]).describe("Folders of its own that it writes to"),
    devices: z
      .array(
        z
          .string()
          .regex(/^\/dev(\/(?!\.{1,2}(\/|$))[^/]+)+$/, 'expected a path below /dev, such as "/dev/snd"'),
      )
      .max(64)
      .default([])
      .describe("Devices that it uses, or folders of them; one that is not there is left out"),
    sandbox: z
      .enum(["auto", "bubblewrap"])
      .default("auto")
      .describe("auto: the kernel's own means; bubblewrap: namespaces too, where bwrap is installed"),
  })
  .prefault({});

const health = z.strictObject({
  kind: z
    .enum(["call", "http", "tcp", "exec", "none"])
    .optional()
    .describe("call: asks the plugin; none: alive is healthy"),
  port: whole(1, 65_535).optional().describe("http, tcp: port on 127.0.0.1"),
  path: z.string().startsWith("/", 'expected a path, such as "/healthz"').optional().describe("http: path"),
  command: command.optional().describe("exec: exit code 0 is healthy"),
});

const recovery = z
  .strictObject({
    restart: z.enum(["always", "on-failure", "never"]).default("always"),
    backoff: z
      .strictObject({
        initial: duration(1, 86_400_000, "1ms to 1d").prefault("1s"),
        max: duration(1, 86_400_000, "1ms to 1d").prefault("60s"),
      })
      .prefault({}),
    maxRestarts: rate.prefault("5 per 10m").describe("More than this is a crash loop"),
    stable: duration(1, 86_400_000, "1ms to 1d")
      .prefault("1m")
      .describe("Having run for so long, the next restart waits backoff.initial again"),
    hung: duration(100, 86_400_000, "100ms to 1d")
      .optional()
      .describe("A process that answers no health check for so long is killed; default: never"),
    reset: command.optional().describe("Run before each restart after a failure; most 10 s"),
    breaker: duration(100, 86_400_000, "100ms to 1d")
      .optional()
      .describe("How long the platform's circuit breaker stays open; default: breaker.reset"),
  })
  .prefault({});

/** Keys that only make sense with other keys; the messages say which. */
function crossChecks(value: z.output<typeof shape>, context: z.RefinementCtx): void {
  const refuse = (path: (string | number)[], message: string) =>
    context.addIssue({ code: "custom", path, message });
  if (value.runtime === "exec" && !value.command)
    refuse(["command"], 'expected a command, such as ["python3", "bot.py"] (runtime: exec)');
  if (value.runtime === "exec" && value.entry !== undefined)
    refuse(["entry"], "expected no entry with runtime: exec; use command");
  for (const key of ["command", "protocol"] as const)
    if (value.runtime === "bun" && value[key] !== undefined)
      refuse([key], `expected no ${key} with runtime: bun; did you mean runtime: exec?`);
  if (value.idleStop !== undefined && value.start !== "lazy")
    refuse(["idleStop"], "expected none without start: lazy: nothing would start it again");
  if (value.protocol === "none" && value.start === "lazy")
    refuse(["start"], "expected eager: with protocol: none no request would ever start it");
  const { kind, port } = value.health;
  if (value.protocol === "none" && kind === "call")
    refuse(["health", "kind"], "expected http, tcp, exec or none: protocol: none answers no calls");
  if ((kind === "http" || kind === "tcp") && port === undefined)
    refuse(["health", "port"], `expected a port from 1 to 65535 (health.kind: ${kind})`);
  if ((kind === "http" || kind === "tcp") && value.instances > 1)
    refuse(["instances"], `expected 1 with health.kind ${kind}: its port is for one process`);
  if (kind === "exec" && !value.health.command)
    refuse(["health", "command"], 'expected a command, such as ["./check.sh"] (health.kind: exec)');
  if (value.protocol === "none" && value.events.length > 0)
    refuse(["events"], "expected none: with protocol: none it is told nothing");
  if (value.recovery.backoff.initial > value.recovery.backoff.max)
    refuse(["recovery", "backoff", "initial"], "expected at most recovery.backoff.max");
}

const shape = z.strictObject({
  name: pluginName.describe("Unique among all plugins"),
  version: semanticVersion,
  platform: pluginName.optional().describe("Label in requests and metrics; default: the name"),
  runtime: z.enum(["bun", "exec"]).default("bun").describe("bun: a module in a host; exec: any command"),
  entry: z.string().min(1).max(4_096).optional().describe("bun: the module, default index.ts"),
  command: command.optional().describe("exec: program and arguments"),
  protocol: z.enum(["jsonrpc", "none"]).optional().describe("exec: none is only supervised"),
  start: z.enum(["eager", "lazy"]).optional().describe("lazy: at the first request; default: eager"),
  idleStop: duration(1_000, 86_400_000, "1s to 1d")
    .optional()
    .describe("lazy: stopped when no request came for so long"),
  instances: whole(1, mostInstances)
    .default(1)
    .describe("Processes of this plugin; requests go to the least busy"),
  swap: z
    .enum(["beside", "stop-first"])
    .default("beside")
    .describe("How a new version takes over; stop-first: both cannot run at once (a port, a file)"),
  requires: z.array(requirement).max(64).default([]).describe("Started before, stopped after"),
  events: eventPatterns(pluginPatternProblem)
    .default([])
    .describe('What it is told of as it happens, such as ["health.changed", "scaling.*"]'),
  priority: whole(-1_000, 1_000)
    .default(0)
    .describe(
      "When memory runs short, more is shed later, whatever the order says; equal: as the order says",
    ),
  protect: z.boolean().default(false).describe("Never shed, neither is what it requires"),
  footprint: bytes()
    .optional()
    .describe(
      "Memory that all its processes together are expected to hold at most: a start reserves it until the plugin was measured",
    ),
  routes: z.json().optional().describe("See routing"),
  limits,
  permissions,
  trust: z.boolean().default(false).describe("Starts even where a permission cannot be enforced"),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "expected the 64 hex digits that conductor check prints")
    .optional()
    .describe("The content of the plugin's folder; refused when it is another"),
  health: health.prefault({}),
  recovery,
});

/** A whole `plugin.yaml`; `z.input` is what a person writes. */
export const manifestSchema = shape.superRefine(crossChecks);

/** What the program reads: bytes, milliseconds, every default filled in. */
export type ManifestFields = z.output<typeof shape>;
