/** Bytes that a model takes with a context, from what is known of it. Pure. */

import type { ModelBytes, ModelFacts } from "./ladder-facts.ts";

/** Beside weights and cache: the program, and the buffers of one step. Measured with llama.cpp: some 90 MiB. */
const overheadBytes = 128 * 2 ** 20;

/**
 * What was measured goes before what is written. A peak for another context is corrected by the cache, where its size is
 * known; without that only a peak for as much context or more tells. Then the configuration (for the whole context, less the
 * cache that is not asked for), then the file: weights + tokens × bytes a token + overhead. Null: nothing tells.
 */
export function needBytes(
  bytes: ModelBytes,
  contextTokens: number,
  wholeContextTokens: number,
): number | null {
  if (bytes.declared === 0) return 0;
  const { kvPerToken } = bytes;
  const measured = nearestPeak(bytes, contextTokens);
  if (measured !== null) return measured;
  if (bytes.declared !== null)
    return Math.max(bytes.declared - (kvPerToken ?? 0) * (wholeContextTokens - contextTokens), 0);
  if (bytes.weights === null || kvPerToken === null) return null;
  return bytes.weights + kvPerToken * contextTokens + overheadBytes;
}

function nearestPeak({ learned, kvPerToken }: ModelBytes, contextTokens: number): number | null {
  let best: { contextTokens: number; bytes: number } | null = null;
  for (const peak of learned) {
    if (kvPerToken === null && peak.contextTokens < contextTokens) continue;
    const distance = Math.abs(peak.contextTokens - contextTokens);
    if (best === null || distance < Math.abs(best.contextTokens - contextTokens)) best = peak;
  }
  if (best === null) return null;
  return Math.max(0, best.bytes + (kvPerToken ?? 0) * (contextTokens - best.contextTokens));
}

/** What the model needs to be loaded with `contextTokens`; null: not known. */
export const needOf = (model: ModelFacts, contextTokens: number): number | null =>
  needBytes(model.bytes, contextTokens, model.contextTokens);

/** What comes free when it is unloaded; measured, else as expected, else nothing that can be counted on. */
export const freedBy = (model: ModelFacts): number =>
  model.heldBytes ?? needOf(model, model.loadedContextTokens ?? model.contextTokens) ?? 0;
