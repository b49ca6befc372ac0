/** From the configuration, and from the header of its file where there is one, to a rung of the ladder. */

import type { ModelSettings } from "../config/models-schema.ts";
import type { GgufHeader } from "./gguf.ts";
import { kvBytesPerToken } from "./gguf-footprint.ts";
import type { ModelTier } from "./manager-ports.ts";

/** No more context than the model was trained with; nothing of this host's memory for a model on another one. */
export function modelTier(settings: ModelSettings, header: GgufHeader | null): ModelTier {
  const { name, engine, quality, context, memory, parallel, stepDownAt, slowest } = settings;
  // Of a model in several files, this one tells a part only.
  const whole = header !== null && header.splits <= 1 ? header : null;
  return {
    name,
    quality,
    contextTokens: Math.min(context, header?.contextTokens ?? Infinity),
    mostParallel: parallel ?? 1,
    ...(header === null ? {} : { quantisation: header.quantisation }),
    bytes: {
      declared: engine === "openai" ? 0 : (memory ?? null),
      weights: whole?.weightsBytes ?? null,
      kvPerToken: header === null ? null : kvBytesPerToken(header),
    },
    stepDownRatio: stepDownAt ?? null,
    slowestTokensPerSecond: slowest ?? null,
  };
}
