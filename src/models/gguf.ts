/**
 * What a GGUF file says of itself, from its first bytes: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 * Versions 2 and 3, little-endian, as everything writes them since 2023.
 */

import { engineError } from "./failure.ts";
import { type ByteRanges, GgufCursor, garbage } from "./gguf-bytes.ts";
import { tensorBytes, tensorType } from "./gguf-types.ts";
import { type GgufValue, readValue } from "./gguf-values.ts";

export interface GgufHeader {
  /** "llama", "qwen3", …: whether an engine knows it, only that engine can tell. */
  architecture: string;
  name: string | null;
  /** Tokens of context it was trained with; null when it does not say (as the next ones). */
  contextTokens: number | null;
  layers: number | null;
  embedding: number | null;
  heads: number | null;
  /** Heads whose keys and values are kept, in each layer. Without a word of it, as many as heads. */
  kvHeads: number[] | null;
  /** Length of one head's key, and of its value. */
  keyLength: number | null;
  valueLength: number | null;
  /** `general.file_type`: the number of the mix of quantisations. */
  fileType: number | null;
  /** The type that most of the weights' bytes have, such as "Q4_K"; "type 99" for one that is not known. */
  quantisation: string;
  tensors: number;
  /** Bytes of all tensors of this file, with the padding between them. */
  weightsBytes: number;
  /** Files that the model is split into; the numbers of tensors and bytes are those of this one. */
  splits: number;
}

/** Of a key, by the format; names of tensors are shorter. */
const mostNameBytes = 65_535;
const mostPairs = 65_536;
const mostTensors = 1_000_000;
const mostDimensions = 8;
const defaultAlignment = 32;

/** Ends of the keys that are kept; those of one architecture follow its name. */
const keptGeneral = new Set([
  "general.architecture",
  "general.name",
  "general.alignment",
  "general.file_type",
  "split.count",
]);
const keptOfArchitecture =
  /\.(context_length|block_count|embedding_length|attention\.(head_count|head_count_kv|key_length|value_length))$/;

/** Reads the header. Throws EngineError: model-broken for what is no whole GGUF, unsupported for another kind of it. */
export async function readGguf(ranges: ByteRanges): Promise<GgufHeader> {
  const cursor = new GgufCursor(ranges);
  const { tensors, pairs } = await readStart(cursor);
  const values = await readPairs(cursor, pairs);
  const alignment = whole(values.get("general.alignment")) ?? defaultAlignment;
  if (alignment < 1 || alignment > 2 ** 20) throw garbage(`general.alignment is ${alignment}`);
  const summary = await readTensors(cursor, tensors);
  const start = Math.ceil(cursor.offset / alignment) * alignment;
  if (tensors > 0 && start + summary.bytes > ranges.sizeBytes)
    throw engineError(
      "model-broken",
      `the GGUF is cut off: it has ${ranges.sizeBytes} bytes, and ${start + summary.bytes} belong to it`,
      "download it again",
    );
  return { ...described(values), ...summary.told, tensors, weightsBytes: summary.bytes };
}

async function readStart(cursor: GgufCursor): Promise<{ tensors: number; pairs: number }> {
  const magic = await cursor.take(4, "its first bytes", (window, at) =>
    String.fromCharCode(
      window.getUint8(at),
      window.getUint8(at + 1),
      window.getUint8(at + 2),
      window.getUint8(at + 3),
    ),
  );
  if (magic !== "GGUF")
    throw engineError("model-broken", "it does not begin with GGUF", "take a file in the format GGUF");
  const version = await cursor.uint32("the version");
  // Read the wrong way round, a small number is a large one.
  if (version > 0 && (version & 0xffff) === 0)
    throw engineError("unsupported", "a big-endian GGUF", "take the little-endian file of this model");
  if (version !== 2 && version !== 3)
    throw engineError("unsupported", `GGUF version ${version}`, "take a file of version 2 or 3");
  const tensors = await cursor.uint64("the number of tensors");
  const pairs = await cursor.uint64("the number of values");
  if (pairs > mostPairs) throw garbage(`it has ${pairs} values`);
  if (tensors > mostTensors) throw garbage(`it has ${tensors} tensors`);
  return { tensors, pairs };
}

async function readPairs(cursor: GgufCursor, pairs: number): Promise<Map<string, GgufValue>> {
  const values = new Map<string, GgufValue>();
  for (let index = 0; index < pairs; index++) {
    const key = await cursor.text("a key", mostNameBytes);
    const type = await cursor.uint32(key);
    const wanted = keptGeneral.has(key) || keptOfArchitecture.test(key);
    const value = await readValue(cursor, type, key, wanted);
    if (wanted && value !== undefined) values.set(key, value);
  }
  return values;
}

interface TensorSummary {
  bytes: number;
  told: { quantisation: string };
}

/** Where the last tensor ends, and which type most bytes have. */
async function readTensors(cursor: GgufCursor, tensors: number): Promise<TensorSummary> {
  const byType = new Map<number, number>();
  let end = 0;
  for (let index = 0; index < tensors; index++) {
    const name = await cursor.text("a tensor's name", mostNameBytes);
    const dimensions = await cursor.uint32(name);
    if (dimensions > mostDimensions) throw garbage(`the tensor ${name} has ${dimensions} dimensions`);
    let weights = 1;
    for (let axis = 0; axis < dimensions; axis++) weights *= await cursor.uint64(name);
    const type = await cursor.uint32(name);
    const offset = await cursor.uint64(name);
    // Of an unknown type only the start is known.
    const bytes = tensorBytes(type, weights) ?? 0;
    end = Math.max(end, offset + bytes);
    byType.set(type, (byType.get(type) ?? 0) + Math.max(bytes, 1));
  }
  const [most] = [...byType].sort(([, one], [, other]) => other - one);
  const number = most?.[0];
  const quantisation = number === undefined ? "none" : (tensorType(number)?.name ?? `type ${number}`);
  return { bytes: end, told: { quantisation } };
}

const whole = (value: GgufValue | undefined): number | null =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : null;

function described(
  values: ReadonlyMap<string, GgufValue>,
): Omit<GgufHeader, "tensors" | "weightsBytes" | "quantisation"> {
  const architecture = values.get("general.architecture");
  if (typeof architecture !== "string" || architecture === "")
    throw engineError("model-broken", "it names no architecture", "take a file of a language model");
  const own = (key: string) => values.get(`${architecture}.${key}`);
  const name = values.get("general.name");
  const layers = whole(own("block_count"));
  const embedding = whole(own("embedding_length"));
  const heads = whole(own("attention.head_count"));
  const perHead = embedding !== null && heads ? embedding / heads : null;
  return {
    architecture,
    name: typeof name === "string" ? name : null,
    contextTokens: whole(own("context_length")),
    layers,
    embedding,
    heads,
    kvHeads: kvHeadsOf(own("attention.head_count_kv"), layers, heads),
    keyLength: whole(own("attention.key_length")) ?? perHead,
    valueLength: whole(own("attention.value_length")) ?? perHead,
    fileType: whole(values.get("general.file_type")),
    splits: whole(values.get("split.count")) ?? 1,
  };
}

/** One number for all layers, or a list of one for each. */
function kvHeadsOf(
  value: GgufValue | undefined,
  layers: number | null,
  heads: number | null,
): number[] | null {
  if (Array.isArray(value)) return value;
  const all = whole(value) ?? heads;
  return layers === null || all === null || layers > mostLayers ? null : new Array<number>(layers).fill(all);
}

const mostLayers = 4_096;
