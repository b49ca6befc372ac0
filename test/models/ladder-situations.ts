/** Three models of 400, 200 and 100 MiB on a budget of 1,000 MiB, so that a percent is 10 MiB. */

import type { LadderSituation, ModelFacts } from "../../src/models/ladder-facts.ts";

export const MiB = 2 ** 20;
export const budgetBytes = 1_000 * MiB;
/** Past every dwell. */
const longAgoMs = 10_000_000;
export const nowMs = 20_000_000;

const sizes = { large: 400, medium: 200, small: 100 } as const;
type Name = keyof typeof sizes;

export const model = (name: Name, more: Partial<ModelFacts> = {}): ModelFacts => {
  const ready = more.state === "ready";
  return {
    name,
    quality: sizes[name] / 4,
    state: "unloaded",
    contextTokens: 8_192,
    loadedContextTokens: ready ? 8_192 : null,
    mostParallel: 1,
    parallel: 1,
    bytes: { declared: sizes[name] * MiB, weights: null, kvPerToken: null, learned: [] },
    heldBytes: ready ? sizes[name] * MiB : null,
    generating: 0,
    idleSinceMs: ready ? longAgoMs : null,
    loadedAtMs: ready ? longAgoMs : null,
    loadMs: ready ? 10_000 : null,
    tokensPerSecond: null,
    slowestTokensPerSecond: null,
    failedRatio: null,
    stepDownRatio: null,
    ...more,
  };
};

/** `loaded` are ready; `change` overrides the facts of models by name. */
export const situation = (
  usedPercent: number,
  loaded: readonly Name[],
  more: Partial<LadderSituation> = {},
  change: Partial<Record<Name, Partial<ModelFacts>>> = {},
): LadderSituation => ({
  nowMs,
  memory: { usedBytes: usedPercent * 10 * MiB, budgetBytes, reservedBytes: 0 },
  forecast: null,
  models: (["large", "medium", "small"] as const).map((name) =>
    model(name, { state: loaded.includes(name) ? "ready" : "unloaded", ...change[name] }),
  ),
  contextWanted: 0,
  lastChangeMs: longAgoMs,
  calmSinceMs: null,
  gaveUp: null,
  ...more,
});

export const calmSince = { calmSinceMs: longAgoMs };
