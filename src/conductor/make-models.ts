/** Step "models": the language models, their processes and memory, and what is told of them. Loaded only where some are configured. */

import { every, sleep } from "../clock.ts";
import type { LadderSettings } from "../config/ladder-schema.ts";
import type { ModelSettings } from "../config/models-schema.ts";
import type { ModelAnswer } from "../metrics/model-metrics.ts";
import { type LadderPolicy, ladderPolicy } from "../models/ladder-facts.ts";
import { ModelManager } from "../models/manager.ts";
import { type ReadModel, readModel, readModels } from "../models/model-files.ts";
import type { ModelServing } from "../models/serving.ts";
import type { MemoryUser } from "../models/suggestions.ts";
import type { MemoryReading } from "../monitor/budget.ts";
import { hasProc } from "../monitor/host-source.ts";
import { otherProcesses } from "../monitor/other-processes.ts";
import type { PluginManager } from "../plugins/manager.ts";
import type { Foundation } from "./foundation.ts";
import type { Memory } from "./make-memory.ts";
import type { State } from "./make-state.ts";
import { engineOf } from "./model-engines.ts";
import { ModelMemory } from "./model-memory.ts";
import { llamaRegistration, ModelProcesses, processName } from "./model-processes.ts";
import { ModelRecords } from "./model-records.ts";

export interface Models {
  serving: ModelServing;
  /** From now on models are loaded; the plugins have been started before. */
  begin(): void;
  /** Ends what is generated and gives everything back. */
  close(): Promise<void>;
}

/** Readings come up to twenty times a second; the ladder is asked so often, and with each one when memory is short. */
const evaluateEveryMs = 200;
const measureEveryMs = 10_000;
/** A file that could not be used is looked at again. */
const lookAgainEveryMs = 30_000;

/** When conductor ends: for the answers under way, and then for the models' processes to end in order. */
const answersEndMs = 1_500;
const orderEndMs = 2_500;
const stepMs = 20;

const policyOf = (settings: LadderSettings): LadderPolicy => ({
  ...ladderPolicy,
  stepDownRatio: settings.stepDown,
  lastStepDownRatio: settings.lastStepDown,
  emergencyRatio: settings.emergency,
  hysteresisRatio: settings.hysteresis,
  calmMs: settings.calm,
  serviceMs: settings.service,
  settleMs: settings.settle,
  justLoadedMs: settings.justLoaded,
  leastContextTokens: settings.leastContext,
  failingRatio: settings.failing,
});

const putOffsOf = ({ putOff }: LadderSettings) => ({
  initialMs: putOff.initial,
  mostMs: putOff.max,
  relapseMs: putOff.relapse,
});

/** Names of the processes that models run in, by model. */
function processNames(settings: readonly ModelSettings[]): Map<string, string> {
  return new Map(
    settings.flatMap(({ engine, name }, place) =>
      engine === "llama" || engine === "command" ? [[name, processName(engine, name, place)] as const] : [],
    ),
  );
}

/** Has the manager find the processes of the models; none is started. To be called before plugins are. */
export async function registerModels(
  settings: readonly ModelSettings[],
  manager: PluginManager,
): Promise<void> {
  const names = processNames(settings);
  for (const { name, engine } of settings) {
    const process = names.get(name);
    if (engine === "llama" && process !== undefined) manager.register(await llamaRegistration(process));
  }
}

/** Makes them; a model whose file cannot be used is said, and the others serve. Nothing is loaded before `begin`. */
export async function makeModels(
  foundation: Foundation,
  state: State,
  manager: PluginManager,
  memory: Memory,
): Promise<Models> {
  const { clock, log, events, loaded, environment } = foundation;
  const { models: settings, ladder } = loaded.config;
  const { scaler, watch } = memory;
  const processes = new ModelProcesses(processNames(settings), {
    manager,
    events,
    footprintBytes: (process) => watch.measureFootprint(process),
  });
  const measureModel = (model: string): number | null => {
    const process = processes.nameOf(model);
    return process === null ? null : watch.measureFootprint(process);
  };
  const policy = policyOf(ladder);
  const room = new ModelMemory({
    clock,
    log,
    scaler,
    footprintBytes: measureModel,
    finishMs: ladder.finish,
    policy,
  });
  const { storage, metrics } = state;
  const records = new ModelRecords({ clock, log, publisher: events, storage, metrics, policy });
  const read = await readModels(settings);
  for (const each of read) sayUnusable(foundation, each);
  const byName = new Map(settings.map((each) => [each.name, each]));
  const ports = {
    clock,
    log,
    makeEngine: ({ name }: { name: string }, contextTokens: number) => {
      const own = byName.get(name);
      if (!own) throw new Error(`no model ${name}`);
      return engineOf(own, contextTokens, { clock, processes, environment });
    },
    memory: () => room.read(),
    reserve: (model: string, bytes: number) => room.reserve(model, bytes),
    changed: (event: Parameters<ModelRecords["changed"]>[0]) => {
      records.changed(event);
      // What a model holds is no trend.
      watch.intervene(clock.nowMs(), `the model is ${event.to ?? "none"} now`);
    },
    answered: (answer: ModelAnswer) => metrics.models.answered(answer),
    ordered: (orders: Parameters<ModelRecords["ordered"]>[0]) => records.ordered(orders),
    decided: (...decision: Parameters<ModelRecords["decided"]>) => {
      room.decided(...decision);
      records.decided(...decision);
    },
  };
  const models = new ModelManager(
    read.map(({ tier }) => tier),
    ports,
    { policy, putOffs: putOffsOf(ladder) },
  );
  records.remember(models, settings);
  const driver = new ModelDriver({ models, settings, processes, room, records, foundation, memory });
  return {
    serving: {
      manager: models,
      conversations: storage.conversations,
      otherProcesses: () => otherMemoryUsers(),
    },
    begin: () => driver.begin(read),
    close: () => driver.close(),
  };
}

/** Less is no help to a model. */
const leastClosedBytes = 64 * 2 ** 20;
/** Servers of models: ending one ends what the suggestion is for. */
const serversOfModels = /^(ollama|llama-server|llama\.cpp|vllm|lm-studio)/i;

/** What runs beside conductor and holds memory; nobody where there is no /proc. */
const otherMemoryUsers = (): MemoryUser[] =>
  hasProc()
    ? otherProcesses([process.pid], leastClosedBytes)
        .filter(({ name }) => !serversOfModels.test(name))
        .map((other) => ({ ...other, kind: "process" as const }))
    : [];

function sayUnusable({ log }: Foundation, { settings, failure }: ReadModel): void {
  if (failure)
    log.error("model.unusable", {
      model: settings.name,
      code: failure.code,
      because: failure.message,
      remedy: failure.remedy,
    });
}

interface DriverParts {
  models: ModelManager;
  settings: readonly ModelSettings[];
  processes: ModelProcesses;
  room: ModelMemory;
  records: ModelRecords;
  foundation: Foundation;
  memory: Memory;
}

/** Has the ladder asked with the readings, and what the models hold measured. */
class ModelDriver {
  readonly #parts: DriverParts;
  readonly #timers: { cancel(): void }[] = [];
  #evaluatedMs = Number.NEGATIVE_INFINITY;
  #begun = false;
  #closing: Promise<void> | null = null;

  constructor(parts: DriverParts) {
    this.#parts = parts;
  }

  begin(read: readonly ReadModel[]): void {
    if (this.#closing) return;
    const { memory, foundation } = this.#parts;
    const { clock } = foundation;
    this.#begun = true;
    memory.watch.models = this;
    this.#timers.push(
      every(clock, measureEveryMs, () => this.#measure()),
      every(clock, lookAgainEveryMs, () => this.#lookAgain(read)),
    );
    const reading = memory.reflex.readNow();
    if (reading) this.onReading(reading);
  }

  onReading(reading: MemoryReading): void {
    const { room, models, memory, foundation } = this.#parts;
    room.take(reading);
    const nowMs = foundation.clock.monotonicMs();
    // At the line, before the scaler judges the same reading: models go before plugins.
    const lineRatio = Math.min(foundation.loaded.config.ladder.stepDown, foundation.policy.shedRatio);
    const isShort = reading.usedRatio >= lineRatio || (room.read()?.forecast?.valueRatio ?? 0) >= lineRatio;
    if (isShort || nowMs - this.#evaluatedMs >= evaluateEveryMs) {
      this.#evaluatedMs = nowMs;
      this.#evaluate();
    }
    const loading = models.facts().some(({ state }) => state === "loading");
    memory.scaler.onModels(room.giving, loading);
  }

  #evaluate(): void {
    const { models, processes, room } = this.#parts;
    const before = models.facts();
    const verdict = models.evaluate();
    const { action, rule, model } = verdict;
    if (action === "hold") return;
    // An order to end may take seconds, which an emergency does not have.
    const struck = before.find(({ name }) => name === model);
    if (rule === "emergency" && struck && processes.nameOf(model) !== null) {
      processes.kill(model);
      room.killed(struck);
    }
    void this.#settled();
  }

  /** Tells how the change ended. */
  async #settled(): Promise<void> {
    const { models, records, settings } = this.#parts;
    await models.settled();
    records.settled(models.facts());
    records.measured(models, settings);
  }

  async #measure(): Promise<void> {
    const { models, records, settings } = this.#parts;
    await models.measure();
    records.measured(models, settings);
  }

  /** Of those that could not be used. */
  async #lookAgain(read: readonly ReadModel[]): Promise<void> {
    const { models, foundation } = this.#parts;
    for (const { name, unusable } of models.facts()) {
      const settings = read.find((each) => each.settings.name === name)?.settings;
      if (unusable === undefined || !settings) continue;
      const again = await readModel(settings);
      if (again.failure?.message === unusable) continue;
      models.retier(again.tier);
      if (again.failure) sayUnusable(foundation, again);
      else foundation.log.info("model.usable", { model: name });
    }
  }

  /** Answers under way have a moment to end, then they are stopped; a process that will not end is killed. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { memory, models, records, settings, processes, foundation } = this.#parts;
    const { clock, log } = foundation;
    for (const timer of this.#timers) timer.cancel();
    memory.watch.models = null;
    const untilMs = clock.monotonicMs() + answersEndMs;
    while (isAnswering(models) && clock.monotonicMs() < untilMs) await sleep(clock, stepMs);
    const late = clock.after(orderEndMs, () => {
      log.warn("model.slow-to-end", { detail: "the processes of the models are killed" });
      for (const { name } of settings) processes.kill(name);
    });
    await models.close();
    late.cancel();
    if (this.#begun) records.measured(models, settings);
  }
}

const isAnswering = (models: ModelManager): boolean =>
  models.facts().some(({ generating }) => generating > 0);
