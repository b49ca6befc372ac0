/** An engine for each kind of model, with what the configuration leaves open. */

import type { Clock } from "../clock.ts";
import type { ModelSettings } from "../config/models-schema.ts";
import { CommandDriver } from "../models/command-driver.ts";
import type { Driver } from "../models/driver.ts";
import type { Engine } from "../models/engine.ts";
import { freePort } from "../models/free-port.ts";
import { openBytes } from "../models/gguf-bytes.ts";
import { httpCall } from "../models/http-call.ts";
import { LlamaDriver } from "../models/llama-driver.ts";
import { ManagedEngine } from "../models/managed-engine.ts";
import { OllamaDriver } from "../models/ollama-driver.ts";
import { OpenaiDriver } from "../models/openai-driver.ts";
import type { ModelProcesses } from "./model-processes.ts";

export interface EnginePorts {
  clock: Clock;
  processes: ModelProcesses;
  /** Where keys are looked up by name. */
  environment: Readonly<Record<string, string | undefined>>;
}

const ollamaUrl = "http://127.0.0.1:11434";
const usualGraceMs = 5_000;

const withoutSlash = (url: string): string => url.replace(/\/+$/, "");

/** For ever as a number: a text without a unit is none of ollama's durations. */
const keepAliveOf = (text = "-1"): number | string => (text === "-1" ? -1 : text);

function driverOf(settings: ModelSettings, contextTokens: number, ports: EnginePorts): Driver {
  const { engine, name, model, url, parallel: mostGenerations = 1 } = settings;
  const { clock, processes, environment } = ports;
  const http = { clock, call: httpCall, environment };
  switch (engine) {
    case "llama":
      return new LlamaDriver(
        {
          file: model ?? "",
          contextTokens,
          threads: settings.threads ?? null,
          gpuLayers: settings.gpuLayers ?? "auto",
        },
        { plugin: processes.llama(name), openBytes },
      );
    case "ollama":
      return new OllamaDriver(
        {
          baseUrl: withoutSlash(url ?? ollamaUrl),
          model: model ?? "",
          contextTokens,
          keepAlive: keepAliveOf(settings.keepAlive),
          mostGenerations,
        },
        http,
      );
    case "openai":
      return new OpenaiDriver(
        {
          baseUrl: withoutSlash(url ?? ""),
          model: model ?? null,
          keyVariable: settings.keyVariable ?? null,
          maxTokensKey: settings.maxTokensKey ?? "max_tokens",
          mostGenerations,
        },
        http,
      );
    case "command":
      return new CommandDriver(
        {
          name,
          command: settings.command ?? [],
          environment: settings.environment ?? {},
          healthPath: settings.healthPath ?? "/health",
          graceMs: settings.grace ?? usualGraceMs,
          mostGenerations,
        },
        {
          ...http,
          host: processes,
          freePort,
          speak: (baseUrl) =>
            new OpenaiDriver(
              {
                baseUrl: `${baseUrl}/v1`,
                model: model ?? null,
                keyVariable: null,
                maxTokensKey: "max_tokens",
                mostGenerations,
              },
              http,
            ),
        },
      );
  }
}

/** An engine that would load the model with so much context; loads nothing yet. */
export const engineOf = (settings: ModelSettings, contextTokens: number, ports: EnginePorts): Engine =>
  new ManagedEngine(driverOf(settings, contextTokens, ports), ports.clock);
