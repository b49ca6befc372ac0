/** GGUF files of the llama architecture with random weights: real llama.cpp loads and runs them, whatever their size. */

import { closeSync, openSync, writeSync } from "node:fs";

export interface GgufShape {
  /** Length of an embedding; a multiple of 4 heads × 2. */
  dim: number;
  layers: number;
  /** At least 600: the byte tokens and some pairs of letters. */
  vocab: number;
  /** Heads of keys and values, of 4 heads in all. */
  kvHeads?: number;
  contextTokens?: number;
  architecture?: string;
  /** More values, by key: whole numbers. */
  more?: Record<string, number>;
}

const heads = 4;
const [u32, f32, string, list, i32] = [4, 6, 8, 9, 5];

class Bytes {
  readonly parts: Buffer[] = [];

  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.parts.push(bytes);
    return this;
  }

  u64(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    this.parts.push(bytes);
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    this.u64(bytes.length).parts.push(bytes);
    return this;
  }

  f32s(values: readonly number[]): this {
    this.parts.push(Buffer.from(Float32Array.from(values).buffer));
    return this;
  }

  get whole(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** The vocabulary: three marks, every byte, pairs of letters, words. */
function tokensOf(vocab: number): string[] {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const pairs = letters.flatMap((one) => letters.map((other) => `▁${one}${other}`));
  const words = Array.from({ length: vocab }, (_, index) => `▁w${index}`);
  return ["<unk>", "<s>", "</s>", ...bytes, ...pairs, ...words].slice(0, vocab);
}

function valuesOf(shape: GgufShape): { count: number; bytes: Buffer } {
  const {
    dim,
    layers,
    vocab,
    kvHeads = heads,
    contextTokens = 512,
    architecture = "llama",
    more = {},
  } = shape;
  const values = new Bytes();
  let count = 0;
  const key = (name: string, type: number) => {
    count++;
    return values.text(name).u32(type);
  };
  key("general.architecture", string).text(architecture);
  key("general.name", string).text(`random-${dim}x${layers}`);
  const numbers: Record<string, number> = {
    context_length: contextTokens,
    embedding_length: dim,
    block_count: layers,
    feed_forward_length: dim * 4,
    "attention.head_count": heads,
    "attention.head_count_kv": kvHeads,
    "rope.dimension_count": dim / heads,
    vocab_size: vocab,
  };
  for (const [name, value] of Object.entries(numbers)) key(`${architecture}.${name}`, u32).u32(value);
  for (const [name, value] of Object.entries(more)) key(name, u32).u32(value);
  key(`${architecture}.attention.layer_norm_rms_epsilon`, f32).f32s([1e-5]);
  const tokens = tokensOf(vocab);
  key("tokenizer.ggml.model", string).text("llama");
  key("tokenizer.ggml.tokens", list).u32(string).u64(vocab);
  for (const token of tokens) values.text(token);
  key("tokenizer.ggml.scores", list)
    .u32(f32)
    .u64(vocab)
    .f32s(tokens.map((_, index) => -index));
  key("tokenizer.ggml.token_type", list).u32(i32).u64(vocab);
  for (const index of tokens.keys()) values.u32(index === 0 ? 2 : index < 3 ? 3 : index < 259 ? 6 : 1);
  for (const [name, id] of Object.entries({ bos: 1, eos: 2, unknown: 0 }))
    key(`tokenizer.ggml.${name}_token_id`, u32).u32(id);
  return { count, bytes: values.whole };
}

/** Names and shapes, as they are stored: the last axis first. */
function tensorsOf({ dim, layers, vocab, kvHeads = heads }: GgufShape): [string, number[]][] {
  const kv = (dim / heads) * kvHeads;
  const block = (index: number): [string, number[]][] =>
    (
      [
        ["attn_norm", [dim]],
        ["attn_q", [dim, dim]],
        ["attn_k", [dim, kv]],
        ["attn_v", [dim, kv]],
        ["attn_output", [dim, dim]],
        ["ffn_norm", [dim]],
        ["ffn_gate", [dim, dim * 4]],
        ["ffn_up", [dim, dim * 4]],
        ["ffn_down", [dim * 4, dim]],
      ] as [string, number[]][]
    ).map(([name, size]) => [`blk.${index}.${name}.weight`, size]);
  return [
    ["token_embd.weight", [dim, vocab]],
    ["output_norm.weight", [dim]],
    ["output.weight", [dim, vocab]],
    ...Array.from({ length: layers }, (_, index) => block(index)).flat(),
  ];
}

const padded = (bytes: number): number => Math.ceil(bytes / 32) * 32;
const weightsIn = (size: readonly number[]): number => size.reduce((product, each) => product * each, 1);

/** Small numbers, always the same: xorshift32, https://www.jstatsoft.org/article/view/v008i14. */
function noise(count: number): Float32Array {
  const values = new Float32Array(count);
  let state = 0x9e3779b9;
  for (let index = 0; index < count; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[index] = (state / 2 ** 31) * 0.035;
  }
  return values;
}

/** Bytes of all tensors, with the padding after each. */
export const ggufWeightsBytes = (shape: GgufShape): number =>
  tensorsOf(shape).reduce((sum, [, size]) => sum + padded(weightsIn(size) * 4), 0);

/** Writes the model to `path`. */
export function makeGguf(path: string, shape: GgufShape): void {
  const values = valuesOf(shape);
  const tensors = tensorsOf(shape);
  const head = new Bytes();
  head.parts.push(Buffer.from("GGUF"));
  head.u32(3).u64(tensors.length).u64(values.count).parts.push(values.bytes);
  let offset = 0;
  for (const [name, size] of tensors) {
    head.text(name).u32(size.length);
    for (const axis of size) head.u64(axis);
    head.u32(0).u64(offset);
    offset += padded(weightsIn(size) * 4);
  }
  const start = head.whole;
  const random = Buffer.from(noise(2 ** 20).buffer);
  const file = openSync(path, "w");
  try {
    writeSync(file, Buffer.concat([start, Buffer.alloc(padded(start.length) - start.length)]));
    for (const [, size] of tensors) {
      const bytes = weightsIn(size) * 4;
      if (size.length === 1) writeSync(file, Buffer.from(new Float32Array(bytes / 4).fill(1).buffer));
      else
        for (let from = 0; from < bytes; from += random.length)
          writeSync(file, random.subarray(0, Math.min(random.length, bytes - from)));
      writeSync(file, Buffer.alloc(padded(bytes) - bytes));
    }
  } finally {
    closeSync(file);
  }
}
