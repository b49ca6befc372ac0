import { describe, expect, test } from "bun:test";
import { models } from "../../src/config/models-schema.ts";
import type { GgufHeader } from "../../src/models/gguf.ts";
import { modelTier } from "../../src/models/model-tiers.ts";

const header: GgufHeader = {
  architecture: "llama",
  name: null,
  contextTokens: 4_096,
  layers: 2,
  embedding: 64,
  heads: 4,
  kvHeads: [2, 2],
  keyLength: 16,
  valueLength: 16,
  fileType: null,
  quantisation: "F16",
  tensors: 1,
  weightsBytes: 1_000,
  splits: 1,
};
const one = (settings: object) => {
  const [parsed] = models.parse([settings]);
  if (!parsed) throw new Error("no model");
  return parsed;
};
const llama = { name: "a", engine: "llama", model: "/a.gguf", context: 8_192 };

describe("a rung", () => {
  test("takes from the file what is not written: 4 heads of 2 x 16 numbers of 2 bytes are 256 bytes a token", () => {
    expect(modelTier(one({ ...llama, stepDownAt: "70%", slowest: 3 }), header)).toEqual({
      name: "a",
      quality: 100,
      contextTokens: 4_096,
      mostParallel: 1,
      quantisation: "F16",
      bytes: { declared: null, weights: 1_000, kvPerToken: 256 },
      stepDownRatio: 0.7,
      slowestTokensPerSecond: 3,
    });
  });

  test("knows no weights of a model in several files", () => {
    const { bytes } = modelTier(one({ ...llama, memory: "2KiB" }), { ...header, splits: 3 });
    expect(bytes).toEqual({ declared: 2_048, weights: null, kvPerToken: 256 });
  });

  test("holds nothing here when another host runs it", () => {
    const far = { name: "b", engine: "openai", url: "http://127.0.0.1:1/v1", context: 100, parallel: 8 };
    expect(modelTier(one(far), null)).toMatchObject({
      mostParallel: 8,
      contextTokens: 100,
      bytes: { declared: 0 },
    });
  });
});
