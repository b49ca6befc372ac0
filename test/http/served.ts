/** The HTTP interface on a real socket, over real services with little in them. */

import { type Clock, VirtualClock } from "../../src/clock.ts";
import { breakerRecorderOf } from "../../src/conductor/breaker-store.ts";
import { observeRoutes } from "../../src/conductor/feeds.ts";
import { makeShadows } from "../../src/conductor/make-shadows.ts";
import { Startup } from "../../src/conductor/startup.ts";
import { type Config, configSchema } from "../../src/config/schema.ts";
import { EventBus } from "../../src/events/bus.ts";
import { EventLog } from "../../src/events/event-log.ts";
import { createJsAdaptiveKernel } from "../../src/forecast/adaptive-kernels.ts";
import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { MemoryForecast } from "../../src/forecast/memory-forecast.ts";
import { createForecaster } from "../../src/forecast/named-series.ts";
import { Breakers } from "../../src/health/breakers.ts";
import { HealthMonitor } from "../../src/health/monitor.ts";
import { createApp } from "../../src/http/app.ts";
import { listen } from "../../src/http/server.ts";
import type { Services } from "../../src/http/services.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import type { Sample } from "../../src/monitor/sample.ts";
import { SampleWindow } from "../../src/monitor/window.ts";
import { pluginStates } from "../../src/plugins/lifecycle.ts";
import { LogTail } from "../../src/plugins/log-tail.ts";
import { PluginManager } from "../../src/plugins/manager.ts";
import { Idempotency } from "../../src/routing/idempotency.ts";
import { Intake } from "../../src/routing/intake.ts";
import { Parking } from "../../src/routing/parking.ts";
import { Redriver } from "../../src/routing/redrive.ts";
import { Router } from "../../src/routing/router.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import { Scaler } from "../../src/scaler/scaler.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { post } from "../../src/webhooks/post.ts";
import { Webhooks } from "../../src/webhooks/webhooks.ts";
import { ScriptedProbe } from "../health/scripted-probe.ts";
import { ScriptedDispatcher } from "../routing/scripted-dispatcher.ts";
import { MiB, SimulatedHost } from "../scaler/simulated-host.ts";
import { recordedLog } from "../storage/scratch.ts";

export const token = "the-token-of-this-test-0123456789abcdef";
export const names = ["voice", "android", "discord", "stubs"];
/** 2026-01-01T00:00:00Z: every clock begins here. */
export const startMs = Date.UTC(2026, 0, 1);

export interface ServedOptions {
  config?: Record<string, unknown>;
  host?: string;
  allowedHosts?: string[];
  over?: Partial<Services>;
}

const manifest = (name: string) =>
  `name: ${name}\nversion: 1.0.0\nruntime: exec\nstart: lazy\ncommand: ["/bin/cat"]\n`;

/** Manifests only: none of these plugins is ever started. */
export async function discovered(clock: Clock, plugins = names): Promise<PluginManager> {
  const { log } = recordedLog();
  const manager = new PluginManager({
    dirs: [],
    bundled: [
      ...plugins.map((name) => ({ name, manifestText: manifest(name) })),
      { name: "broken", manifestText: "name: broken\nruntime: steam\n" },
    ],
    config: {},
    order: names,
    graceMs: 100,
    startTimeoutMs: 1_000,
    clock,
    log,
    publisher: { publish: () => undefined },
    random: () => 0.5,
    runId: `http-${process.pid}`,
    selfCommand: [process.execPath],
    environment: {},
    dataFolder: () => null,
    mayStart: () => ({ ok: true }),
    cgroupPlace: null,
  });
  await manager.discover();
  return manager;
}

/** A sample with `usedMiB` of 1,000 MiB in use; the rest of it is plain. */
export const sampleAt = (atMs: number, usedMiB: number): Sample => ({
  atMs,
  cpuPercent: 12.5,
  memory: {
    usedBytes: usedMiB * MiB,
    budgetBytes: 1_000 * MiB,
    usedRatio: usedMiB / 1_000,
    source: "host",
    cgroup: null,
    swapUsedBytes: 0,
    swapTotalBytes: 0,
  },
  disk: null,
  load: { load1: 0.5, load5: 0.4, load15: 0.3 },
  pressure: { memory: { somePercent: 1, fullPercent: 0 }, cpu: null, io: null },
  footprints: [{ plugin: "voice", bytes: 10 * MiB, method: "pss", processes: 1 }],
});

function parts(clock: VirtualClock, config: Config, otherRouter?: Router) {
  const { log, lines } = recordedLog();
  const events = { publish: () => undefined };
  const dispatcher = new ScriptedDispatcher(clock, names);
  const storage = openStorage({
    location: resolveLocation(":memory:", {}),
    retention: { samplesMs: 1e9, metricsMs: 1e9, decisionsMs: 1e9 },
    clock,
    log,
  });
  const recorder = breakerRecorderOf(storage, clock);
  const breakers = new Breakers({ clock, events, recorder, failures: 3, resetMs: 30_000 });
  for (const name of names) breakers.get(name);
  const probe = new ScriptedProbe(clock, names);
  const health = new HealthMonitor({
    clock,
    log,
    events,
    probe,
    observers: [],
    intervalMs: 5_000,
    timeoutMs: 5_000,
    slowMs: 200,
    failures: 3,
    seed: 1,
  });
  const metrics = new Metrics(
    { version: "1", commit: "c", kernel: "js" },
    {
      plugin: pluginStates,
      forecast: ["none", "cold", "ready"],
      calibration: ["none", "calibrating", "calibrated", "miscalibrated"],
    },
  );
  const host = new SimulatedHost(clock, { voice: 100, android: 100, discord: 100, stubs: 100 });
  const foundation = {
    clock,
    log,
    events: new EventBus(clock, log),
    startup: new Startup(log),
    loaded: { config, file: null, baseFolder: "/" },
    policy: policyOf(config.scaler),
  };
  const shadows = makeShadows(foundation, { storage, metrics });
  const scaler = new Scaler({
    clock,
    log,
    publisher: events,
    policy: foundation.policy,
    shadows: shadows.shadows,
    actuator: {
      ...bound(host),
      strike: (name) => host.strike(name),
      plugins: () => host.plugins(),
      hasShed: () => host.hasShed(),
    },
    measureNow: host.measure,
    recorder: host,
    onIntervention: () => undefined,
    reservationMs: 30_000,
    horizonMs: config.forecast.horizon,
    newLeaseId: () => crypto.randomUUID(),
  });
  shadows.drive(scaler);
  const ownRouter = new Router({
    clock,
    log,
    dispatcher,
    breakers,
    fallbacks: () => ["stubs"],
    newRequestId: () => "request-1",
    observers: [observeRoutes(metrics)],
  });
  const router = otherRouter ?? ownRouter;
  const letters = storage.deadLetters;
  const fromStart = { clock, publisher: events, letters };
  const parking = new Parking({ ...fromStart, ttlMs: config.deadLetters.ttl, firstDelayMs: 1_000 });
  let requests = 0;
  const intake = new Intake({
    router,
    parking,
    idempotency: new Idempotency({
      clock,
      keys: storage.idempotencyKeys,
      newRequestId: () => `refused-${++requests}`,
      waitMs: config.idempotency.wait,
    }),
    onFailureOf: (platform) => config.deadLetters.onFailure[platform] ?? "refuse",
  });
  const redriver = new Redriver({
    ...fromStart,
    log,
    router,
    dispatcher,
    rules: { maxRedrives: config.deadLetters.redrives, firstDelayMs: 1_000, maxDelayMs: 60_000 },
    ratePerSecond: config.deadLetters.rate,
  });
  const { horizon: horizonMs, points, minPoints, emaAlpha } = config.forecast;
  const mix = createJsAdaptiveKernel().createSeries({
    horizonSeconds: horizonMs / 1_000,
    threshold: 80,
    coldHalfWidth: 100,
  });
  const forecast = new MemoryForecast(createForecaster(createJsKernel({ seriesLimit: 4 })), mix, {
    method: config.forecast.method,
    horizonMs,
    points,
    minPoints,
    emaAlpha,
  });
  const window = new SampleWindow(config.monitor.window);
  return {
    log,
    lines,
    dispatcher,
    breakers,
    probe,
    health,
    storage,
    metrics,
    host,
    foundation,
    shadows,
    scaler,
    router,
    intake,
    redriver,
    forecast,
    forecastAnomalies: () => [],
    window,
  };
}

const bound = (host: SimulatedHost) => ({
  footprintBytes: (name: string) => host.footprintBytes(name),
  shed: (name: string, how: { urgent: boolean }) => host.shed(name, how),
  hasten: (name: string) => host.hasten(name),
  restore: (name: string) => host.restore(name),
});

/** Serves on a free port; time stands still but for `clock.advance`. */
export async function served({
  config = {},
  host = "127.0.0.1",
  allowedHosts = [],
  over = {},
}: ServedOptions = {}) {
  const clock = new VirtualClock(startMs);
  const parsed = configSchema.parse(config);
  const made = parts(clock, parsed, over.router);
  const manager = await discovered(clock);
  const logs = new LogTail();
  const bus = new EventBus(clock, made.log, "thisrun");
  const events = new EventLog(bus);
  const webhooks = new Webhooks([], {
    clock,
    log: made.log,
    bus,
    post,
    random: () => 0.5,
    version: "1",
    letters: made.storage.webhookLetters,
    counted: () => undefined,
  });
  let waitingFor: string | null = null;
  const services: Services = {
    ...made,
    clock,
    config: parsed,
    policy: () => made.foundation.policy,
    startedAtMs: startMs,
    manager,
    logs,
    events,
    webhooks,
    footprintOf: (plugin) =>
      plugin === "voice" ? { plugin, bytes: 5 * MiB, method: "pss", processes: 1 } : null,
    gaps: () => ({ disk: 2 }),
    reflexDelayMs: () => 1_000,
    kernelFellBackBecause: null,
    models: null,
    notReadyBecause: () => waitingFor,
    ...over,
  };
  const app = createApp(services, { host, port: () => server.port, allowedHosts, token });
  const server = listen(app, host === "0.0.0.0" ? host : "127.0.0.1", 0);
  const url = (path: string) => `http://127.0.0.1:${server.port}${path}`;
  return {
    ...made,
    clock,
    manager,
    logs,
    bus,
    app,
    port: server.port,
    url,
    waitFor: (what: string | null) => {
      waitingFor = what;
    },
    get: (path: string, headers: Record<string, string> = {}) => fetch(url(path), { headers }),
    json: async (path: string) => (await (await fetch(url(path))).json()) as Record<string, unknown>,
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      fetch(url(path), {
        method: "POST",
        headers: { "Content-Type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    administrator: { Authorization: `Bearer ${token}` },
    /** Turns the clock as soon as requests wait for it, until `work` is settled. */
    turning: async <T>(work: Promise<T>): Promise<T> => {
      let settled = false;
      const done = work.finally(() => {
        settled = true;
      });
      while (!settled) {
        await clock.advance(1);
        await Bun.sleep(0);
      }
      return done;
    },
    end: async () => {
      await made.foundation.startup.unwind();
      made.breakers.stop();
      made.health.stop();
      await server.stop(true);
      made.storage.close();
    },
  };
}

export type Served = Awaited<ReturnType<typeof served>>;

/** A problem document; fails when the response is none. */
export async function problemOf(response: Response): Promise<Record<string, unknown> & { code: string }> {
  const type = response.headers.get("content-type");
  if (type !== "application/problem+json")
    throw new Error(`${response.status} is ${type}, no problem document`);
  const body = (await response.json()) as Record<string, unknown>;
  for (const [key, kind] of Object.entries({
    type: "string",
    title: "string",
    detail: "string",
    code: "string",
  }))
    if (typeof body[key] !== kind) throw new Error(`${key} is ${JSON.stringify(body[key])}`);
  if (body.status !== response.status) throw new Error(`status ${body.status} in a ${response.status}`);
  return body as Record<string, unknown> & { code: string };
}
