/** What a model will hold in memory, before it is loaded. */

import type { GgufHeader } from "./gguf.ts";

/** Bytes of one number in the cache of keys and values: llama.cpp keeps them as F16 unless it is told otherwise. */
export const f16Bytes = 2;

/**
 * Bytes of keys and values of one token, in all layers: Σ over layers of kv heads × (key length + value length) × bytes;
 * where every layer is alike and key and value have the same length, 2 × layers × kv heads × head length × bytes.
 * Source: llama.cpp, `llama_kv_cache` (n_embd_k_gqa and n_embd_v_gqa of each layer); grouped heads: Ainslie et al. 2023,
 * https://arxiv.org/abs/2305.13245. An upper bound for models with sliding windows, shared or compressed keys, or layers
 * without attention. Null when the header does not tell.
 */
export function kvBytesPerToken(header: GgufHeader, numberBytes = f16Bytes): number | null {
  const { kvHeads, keyLength, valueLength } = header;
  if (kvHeads === null || keyLength === null || valueLength === null) return null;
  const heads = kvHeads.reduce((sum, each) => sum + each, 0);
  return heads * (keyLength + valueLength) * numberBytes;
}

/**
 * Bytes of weights and of the cache for `contextTokens`. What the engine takes beside that (its program, the buffers of one
 * step) is not in it: `llama` measured some 90 MB. Null when the header does not tell, or the model is split into files.
 */
export function modelBytes(header: GgufHeader, contextTokens: number): number | null {
  const perToken = kvBytesPerToken(header);
  if (perToken === null || header.splits > 1) return null;
  return header.weightsBytes + perToken * contextTokens;
}
