/** Step "database and metrics": what is kept, what is counted, and the forecast that runs on it. */

import { chmodSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Config } from "../config/schema.ts";
import type { AdaptiveKernel } from "../forecast/adaptive.ts";
import type { Kernel } from "../forecast/forecaster.ts";
import { loadAdaptiveKernel } from "../forecast/load-adaptive.ts";
import { loadKernel } from "../forecast/load-kernel.ts";
import { MemoryForecast } from "../forecast/memory-forecast.ts";
import { createForecaster } from "../forecast/named-series.ts";
import { loadToken } from "../http/token.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics/metrics.ts";
import { pluginStates } from "../plugins/lifecycle.ts";
import { resolveLocation } from "../storage/location.ts";
import { openStorage, type Storage } from "../storage/storage.ts";
import { commit, version } from "../version.ts";
import type { Foundation } from "./foundation.ts";
import { pluginDataFolder } from "./state-folder.ts";

export interface State {
  storage: Storage;
  /** The folder of the database, for the token and the plugins' data; null when the state is in memory. */
  stateFolder: string | null;
  token: string;
  metrics: Metrics;
  forecast: MemoryForecast;
  kernel: Kernel;
  adaptive: AdaptiveKernel;
  kernelFellBackBecause: string | null;
}

/** Opens the database and makes metrics and forecast. Throws StorageError with the remedy. */
export async function openState(foundation: Foundation): Promise<State> {
  const { loaded, environment, clock, log, startup } = foundation;
  const { config, baseFolder } = loaded;
  const { kernel, adaptive, fellBackBecause } = await loadKernels(config, log);
  const metrics = new Metrics(
    { version, commit, kernel: kernel.name },
    {
      plugin: pluginStates,
      forecast: ["none", "cold", "ready"],
      calibration: ["none", "calibrating", "calibrated", "miscalibrated"],
    },
  );
  const { retention } = config.storage;
  const location = resolveLocation(storagePath(config, baseFolder), environment);
  const storage = openStorage({
    location,
    retention: {
      samplesMs: retention.samples,
      metricsMs: retention.metrics,
      decisionsMs: retention.decisions,
    },
    deadLetters: {
      maxCount: config.deadLetters.maxCount,
      maxBytes: config.deadLetters.maxBytes,
      maxAgeMs: config.deadLetters.maxAge,
    },
    idempotency: {
      maxKeys: config.idempotency.maxKeys,
      maxBytes: config.idempotency.maxBytes,
      ttlMs: config.idempotency.ttl,
    },
    clock,
    log,
    onWriteFailure: (kind) => metrics.countStorageWriteFailure(kind),
  });
  startup.onEnd("storage", () => storage.close());
  const { path } = storage.status();
  const stateFolder = path === null ? null : dirname(path);
  if (stateFolder === null && !environment.CONDUCTOR_TOKEN)
    log.warn("http.token_not_kept", {
      because: "the state is in memory, so nobody can read the administrator's token from a file",
      remedy: "give one with CONDUCTOR_TOKEN, or set storage.path",
    });
  if (stateFolder !== null) makePluginDataFolder(stateFolder, location.source !== "storage.path");
  return {
    storage,
    stateFolder,
    token: loadToken(stateFolder, environment.CONDUCTOR_TOKEN),
    metrics,
    forecast: makeForecast(config, kernel, adaptive),
    kernel,
    adaptive,
    kernelFellBackBecause: fellBackBecause,
  };
}

/**
 * The folder of the plugins' data folders. Where each plugin has a user of its own, that user must get through to its own
 * one: it may enter, not list, and the files on the way are for conductor's user alone. A folder that was named by hand
 * may hold more than ours, and stays as it is.
 */
function makePluginDataFolder(stateFolder: string, isOurs: boolean): void {
  const folder = pluginDataFolder(stateFolder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (process.getuid?.() !== 0) return;
  for (const each of isOurs ? [stateFolder, folder] : [folder]) chmodSync(each, statSync(each).mode | 0o001);
}

/** Both kernels of one kind. Throws where the configuration insists on WASM and it does not run. */
async function loadKernels({ forecast }: Config, log: Log) {
  const use = forecast.kernel === "js" ? "js" : "auto";
  const [lines, mixes] = await Promise.all([loadKernel({ use }), loadAdaptiveKernel({ use })]);
  const fellBackBecause = lines.fellBackBecause ?? mixes.fellBackBecause;
  if (fellBackBecause !== null) {
    if (forecast.kernel === "wasm") throw new Error(`forecast.kernel is wasm, but ${fellBackBecause}`);
    log.warn("forecast.fell_back", { because: fellBackBecause });
  }
  return { kernel: lines.kernel, adaptive: mixes.kernel, fellBackBecause };
}

function makeForecast(
  { forecast, scaler }: Config,
  kernel: Kernel,
  adaptive: AdaptiveKernel,
): MemoryForecast {
  const mix = adaptive.createSeries({
    horizonSeconds: forecast.horizon / 1_000,
    threshold: scaler.shed * 100,
    coldHalfWidth: 100,
  });
  return new MemoryForecast(createForecaster(kernel), mix, {
    method: forecast.method,
    horizonMs: forecast.horizon,
    points: forecast.points,
    minPoints: forecast.minPoints,
    emaAlpha: forecast.emaAlpha,
  });
}

/** The configured path, relative to the configuration's folder; undefined when none is configured. */
export function storagePath({ storage: { path } }: Config, baseFolder: string): string | undefined {
  return path === undefined || path === ":memory:" ? path : resolve(baseFolder, path);
}
