/** Which of the configured models can be read, and what their files tell. */

import type { ModelSettings } from "../config/models-schema.ts";
import { type EngineFailure, engineError, failureOf } from "./failure.ts";
import { type GgufHeader, readGguf } from "./gguf.ts";
import { type ByteRanges, openBytes } from "./gguf-bytes.ts";
import type { ModelTier } from "./manager-ports.ts";
import { modelTier } from "./model-tiers.ts";

export interface ReadModel {
  settings: ModelSettings;
  tier: ModelTier;
  /** Null: it is no file of this host, or it cannot be read. */
  header: GgufHeader | null;
  /** Why its file cannot be used; null: it can, or there is none. */
  failure: EngineFailure | null;
}

/** What the header of a GGUF tells; throws EngineError: model-missing, model-broken, unsupported. */
async function headerOf(path: string): Promise<GgufHeader> {
  let bytes: ByteRanges;
  try {
    bytes = await openBytes(path);
  } catch (error) {
    const { code } = error as { code?: unknown };
    throw engineError(
      "model-missing",
      `${path} cannot be opened (${String(code ?? error)})`,
      "correct the path of the model, or let conductor read it",
    );
  }
  try {
    return await readGguf(bytes);
  } finally {
    await bytes.close();
  }
}

/** Reads the header of a model's file, where it has one. Never rejects for a file. */
export async function readModel(settings: ModelSettings): Promise<ReadModel> {
  if (settings.engine !== "llama" || settings.model === undefined)
    return { settings, tier: modelTier(settings, null), header: null, failure: null };
  try {
    const header = await headerOf(settings.model);
    return { settings, tier: modelTier(settings, header), header, failure: null };
  } catch (error) {
    const failure = failureOf(error);
    const tier = { ...modelTier(settings, null), unusable: failure.message };
    return { settings, tier, header: null, failure };
  }
}

/** Every model, the best first. */
export const readModels = (settings: readonly ModelSettings[]): Promise<ReadModel[]> =>
  Promise.all(settings.map(readModel));
