/** One model of the ladder as it stands: its engine while it is loaded, who uses it, and what is known of it. */

import type { Engine } from "./engine.ts";
import type { EngineFailure } from "./failure.ts";
import { Feedback } from "./feedback.ts";
import type { ModelFacts, ModelSetting } from "./ladder-facts.ts";
import type { ModelTier } from "./manager-ports.ts";
import type { LearnedPeak } from "./model-footprints.ts";

/** An answer under way. */
export interface OpenAnswer {
  /** It was ended for memory. */
  cut: boolean;
}

export class HeldModel {
  readonly feedback = new Feedback();
  readonly answers = new Set<OpenAnswer>();
  engine: Engine | null = null;
  setting: ModelSetting | null = null;
  heldBytes: number | null = null;
  idleSinceMs: number | null = null;
  loadedAtMs: number | null = null;
  loadMs: number | null = null;
  unloadedByPerson = false;
  pinned = false;
  /** Since conductor runs. */
  loads = 0;
  /** Of its last load that failed; null since one succeeded. */
  lastFailure: EngineFailure | null = null;

  /** Its file may be mended while conductor runs. */
  constructor(public tier: ModelTier) {}

  get name(): string {
    return this.tier.name;
  }

  get ready(): boolean {
    return this.engine?.state === "ready";
  }

  /** Nothing of it is left. */
  clear(): void {
    this.engine = null;
    this.setting = null;
    this.heldBytes = null;
    this.loadedAtMs = null;
  }

  facts(learned: readonly LearnedPeak[], putOffUntilMs: number | undefined): ModelFacts {
    const { tier, setting } = this;
    const { tokensPerSecond, failedRatio } = this.feedback.summary();
    return {
      name: tier.name,
      quality: tier.quality,
      state: this.engine?.state ?? (tier.unusable === undefined ? "unloaded" : "failed"),
      contextTokens: tier.contextTokens,
      loadedContextTokens: this.ready ? (setting?.contextTokens ?? null) : null,
      mostParallel: tier.mostParallel,
      parallel: setting?.parallel ?? tier.mostParallel,
      bytes: { ...tier.bytes, learned },
      heldBytes: this.heldBytes,
      generating: this.answers.size,
      idleSinceMs: this.idleSinceMs,
      loadedAtMs: this.loadedAtMs,
      loadMs: this.loadMs,
      tokensPerSecond,
      slowestTokensPerSecond: tier.slowestTokensPerSecond,
      failedRatio,
      stepDownRatio: tier.stepDownRatio,
      ...(putOffUntilMs === undefined ? {} : { putOffUntilMs }),
      ...(tier.unusable === undefined ? {} : { unusable: tier.unusable }),
      ...(this.lastFailure === null ? {} : { loadFailure: this.lastFailure.message }),
      ...(this.unloadedByPerson ? { unloadedByPerson: true as const } : {}),
      ...(this.pinned ? { pinned: true as const } : {}),
    };
  }
}
