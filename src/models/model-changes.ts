/** Carries out what was decided, one change at a time: the new model before the old one goes where both fit, else after it. */

import type { EngineState, Loaded } from "./engine.ts";
import type { HeldModel } from "./held-model.ts";
import type { LadderVerdict, ModelSetting } from "./ladder-facts.ts";
import type { Capability, ManagerPorts } from "./manager-ports.ts";
import type { ModelFootprints } from "./model-footprints.ts";
import type { ModelPutOffs } from "./model-put-offs.ts";

/** The model that a change is about. */
interface Target {
  name: string;
  state: Extract<EngineState, "loading" | "unloading">;
}

interface Change {
  target: Target;
  giveUp: AbortController;
  done: Promise<void>;
}

interface Active {
  name: string;
  capability: Capability;
}

export class ModelChanges {
  readonly #models: readonly HeldModel[];
  readonly #ports: ManagerPorts;
  readonly #putOffs: ModelPutOffs;
  readonly #footprints: ModelFootprints;
  readonly #onEnd: () => void;
  #change: Change | null = null;
  #lastChangeMs: number | null = null;
  #switches = 0;
  /** The last that was told of. */
  #told: Active | null = null;
  #closed = false;

  constructor(
    models: readonly HeldModel[],
    ports: ManagerPorts,
    putOffs: ModelPutOffs,
    footprints: ModelFootprints,
    onEnd: () => void,
  ) {
    this.#models = models;
    this.#ports = ports;
    this.#putOffs = putOffs;
    this.#footprints = footprints;
    this.#onEnd = onEnd;
  }

  get underWay(): boolean {
    return this.#change !== null;
  }

  get target(): Target | null {
    return this.#change?.target ?? null;
  }

  /** How often another model, or another context, came to answer since conductor runs. */
  get switches(): number {
    return this.#switches;
  }

  get lastChangeMs(): number | null {
    return this.#lastChangeMs;
  }

  async settled(): Promise<void> {
    while (this.#change) await this.#change.done;
  }

  begin(verdict: LadderVerdict): void {
    if (verdict.action === "hold") return;
    if (verdict.action === "cut" && this.#change) {
      this.#change.giveUp.abort();
      return;
    }
    const model = this.#named(verdict.model);
    if ("setting" in verdict && this.#onlyParallel(model, verdict.setting)) return;
    const { reason } = verdict;
    this.#ports.log.info("model.change", {
      action: verdict.action,
      model: verdict.model,
      rule: verdict.rule,
      reason,
    });
    const unloads = verdict.action === "unload" || verdict.action === "cut";
    if (verdict.action === "cut") for (const answer of model.answers) answer.cut = true;
    this.#run({ name: model.name, state: unloads ? "unloading" : "loading" }, reason, async (signal) => {
      if (verdict.action === "load") await this.#load(model, verdict.setting, verdict.needBytes, signal);
      else if (verdict.action === "trim") await this.#replace(model, model, verdict, signal);
      else if (verdict.action !== "switch") await this.#unload(model);
      else if (!verdict.beside) await this.#replace(this.#named(verdict.from), model, verdict, signal);
      else await this.#beside(this.#named(verdict.from), model, verdict, signal);
    });
  }

  /** A change of how many answers it gives at once needs no load. */
  #onlyParallel(model: HeldModel, setting: ModelSetting): boolean {
    if (!model.ready || model.setting?.contextTokens !== setting.contextTokens) return false;
    model.setting = setting;
    return true;
  }

  /** For a request that asks for it. Null: another change is under way. Resolves when it has ended, however. */
  loadOnDemand(name: string, needBytes: number): Promise<void> | null {
    if (this.#change || this.#closed) return null;
    const model = this.#named(name);
    const { contextTokens, mostParallel } = model.tier;
    return this.#run({ name, state: "loading" }, `${name} was asked for`, async (signal) => {
      await this.#load(model, { contextTokens, parallel: mostParallel }, needBytes, signal);
    });
  }

  #run(target: Target, reason: string, work: (giveUp: AbortSignal) => Promise<void>): Promise<void> {
    const giveUp = new AbortController();
    const done = this.#settle(work(giveUp.signal), reason);
    this.#change = { target, giveUp, done };
    return done;
  }

  async #settle(work: Promise<void>, reason: string): Promise<void> {
    try {
      await work;
    } finally {
      this.#change = null;
      this.#lastChangeMs = this.#ports.clock.monotonicMs();
      this.tell(reason);
      this.#onEnd();
    }
  }

  /** The new one first; the old one goes unless somebody uses it: then it goes when memory asks for it. */
  async #beside(
    from: HeldModel,
    to: HeldModel,
    { setting, needBytes }: { setting: ModelSetting; needBytes: number },
    signal: AbortSignal,
  ): Promise<void> {
    if (!(await this.#load(to, setting, needBytes, signal))) return;
    if (from.answers.size === 0) await this.#unload(from);
  }

  async #replace(
    from: HeldModel,
    to: HeldModel,
    { setting, needBytes }: { setting: ModelSetting; needBytes: number },
    signal: AbortSignal,
  ): Promise<void> {
    if (!(await this.#unload(from)) || signal.aborted) return;
    await this.#load(to, setting, needBytes, signal);
  }

  async #load(
    model: HeldModel,
    setting: ModelSetting,
    needBytes: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, log, makeEngine, reserve } = this.#ports;
    // What a failed life has left goes first.
    if (model.engine && !(await this.#unload(model))) return false;
    const engine = makeEngine(model.tier, setting.contextTokens);
    model.engine = engine;
    const release = reserve(model.name, needBytes);
    let loaded: Loaded;
    try {
      loaded = await engine.load(signal);
    } finally {
      release();
    }
    const nowMs = clock.monotonicMs();
    if (!loaded.ok) {
      log.warn("model.load-failed", { model: model.name, ...loaded.failure });
      this.#putOffs.failed(model.name, nowMs, loaded.failure.code);
      model.lastFailure = loaded.failure;
      model.heldBytes = await engine.footprintBytes();
      if (model.heldBytes === null) model.clear();
      return false;
    }
    model.setting = {
      ...setting,
      contextTokens: Math.min(setting.contextTokens, loaded.contextTokens ?? Infinity),
    };
    model.loadedAtMs = nowMs;
    model.idleSinceMs = nowMs;
    model.loadMs = loaded.loadMs;
    model.loads++;
    model.lastFailure = null;
    model.heldBytes = loaded.footprintBytes;
    this.#putOffs.taken(model.name, nowMs);
    this.#footprints.loaded(model.name, setting.contextTokens);
    this.#learn(model);
    engine.onChange((state, failure) => {
      if (state !== "failed" || model.engine !== engine || this.#change?.target.name === model.name) return;
      log.error("model.failed", { model: model.name, ...failure });
      this.#putOffs.failed(model.name, clock.monotonicMs(), failure?.code);
      model.lastFailure = failure;
      // So that what it may have left is given back before anything else is loaded.
      model.heldBytes ??= 1;
      this.tell(failure?.message ?? `${model.name} failed`);
      this.#onEnd();
    });
    return true;
  }

  /** False: it did not give its memory back. */
  async #unload(model: HeldModel): Promise<boolean> {
    const { engine } = model;
    if (!engine) return true;
    const unloaded = await engine.unload();
    if (unloaded.ok) {
      model.clear();
      return true;
    }
    this.#ports.log.error("model.still-held", { model: model.name, ...unloaded.failure });
    this.#putOffs.failed(model.name, this.#ports.clock.monotonicMs());
    // It was tried: from now on it is part of what others use, until it is to be loaded again.
    model.heldBytes = null;
    return false;
  }

  /** Measures what it holds, and learns from it. */
  async measure(model: HeldModel): Promise<void> {
    const { engine } = model;
    if (!engine || !model.ready) return;
    const bytes = await engine.footprintBytes();
    if (model.engine !== engine || !model.ready || bytes === null) return;
    model.heldBytes = bytes;
    this.#learn(model);
  }

  #learn({ name, heldBytes, setting }: HeldModel): void {
    if (heldBytes !== null && heldBytes > 0 && setting)
      this.#footprints.learn(name, setting.contextTokens, heldBytes);
  }

  /** Announces the best loaded model, when that is another one, or one with another context. */
  tell(reason: string): void {
    const best = this.#models.find(({ ready }) => ready);
    const now: Active | null = best
      ? {
          name: best.name,
          capability: {
            quality: best.tier.quality,
            contextTokens: best.setting?.contextTokens ?? best.tier.contextTokens,
          },
        }
      : null;
    const before = this.#told;
    const same =
      before?.name === now?.name && before?.capability.contextTokens === now?.capability.contextTokens;
    this.#told = now;
    if (same) return;
    if (before !== null || this.#switches > 0) this.#switches++;
    this.#ports.changed({
      from: before?.name ?? null,
      to: now?.name ?? null,
      old: before?.capability ?? null,
      new: now?.capability ?? null,
      reason,
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#change?.giveUp.abort();
    await this.settled();
    for (const model of this.#models) await this.#unload(model);
    this.tell("conductor stops");
  }

  #named(name: string): HeldModel {
    const model = this.#models.find((each) => each.name === name);
    if (!model) throw new Error(`no model ${name}`);
    return model;
  }
}
