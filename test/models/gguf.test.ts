import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { EngineError } from "../../src/models/failure.ts";
import { type GgufHeader, readGguf } from "../../src/models/gguf.ts";
import { bytesInMemory, openBytes } from "../../src/models/gguf-bytes.ts";
import { kvBytesPerToken, modelBytes } from "../../src/models/gguf-footprint.ts";
import { tensorBytes, tensorType } from "../../src/models/gguf-types.ts";
import { type GgufShape, ggufWeightsBytes, makeGguf } from "./make-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "conductor-gguf-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function fileOf(shape: GgufShape): string {
  const path = join(folder, `${files++}.gguf`);
  makeGguf(path, shape);
  return path;
}

const tiny: GgufShape = { dim: 64, layers: 2, vocab: 1_024 };
const tinyBytes = readFileSync(fileOf(tiny));

async function headerOf(path: string): Promise<GgufHeader> {
  const bytes = await openBytes(path);
  try {
    return await readGguf(bytes);
  } finally {
    await bytes.close();
  }
}

/** Code and message with which reading fails. */
async function refusal(bytes: Uint8Array): Promise<[string, string]> {
  try {
    await readGguf(bytesInMemory(bytes));
  } catch (error) {
    if (error instanceof EngineError) return [error.failure.code, error.failure.message];
    throw error;
  }
  throw new Error("it was read");
}

describe("a GGUF's header", () => {
  test("tells the shape of the model", async () => {
    const shape = { dim: 128, layers: 3, vocab: 700, kvHeads: 2, contextTokens: 2_048 };
    const header = await headerOf(fileOf({ ...shape, more: { "general.file_type": 15 } }));
    expect(header).toEqual({
      architecture: "llama",
      name: "random-128x3",
      contextTokens: 2_048,
      layers: 3,
      embedding: 128,
      heads: 4,
      kvHeads: [2, 2, 2],
      keyLength: 32,
      valueLength: 32,
      fileType: 15,
      quantisation: "F32",
      tensors: 3 + 9 * 3,
      weightsBytes: ggufWeightsBytes(shape),
      splits: 1,
    });
  });

  test("the tensors end where the file does", async () => {
    const path = fileOf(tiny);
    const { weightsBytes } = await headerOf(path);
    const headBytes = statSync(path).size - weightsBytes;
    expect(headBytes).toBeGreaterThan(0);
    expect(headBytes % 32).toBe(0);
  });

  test("is read without the weights", async () => {
    const bytes = bytesInMemory(tinyBytes);
    let read = 0;
    await readGguf({
      ...bytes,
      read: async (offset, length) => {
        read += length;
        return bytes.read(offset, length);
      },
    });
    expect(read).toBeLessThanOrEqual(2 * 256 * 1024);
  });

  test("heads with lengths of their own, and a split model", async () => {
    const more = { "llama.attention.key_length": 48, "llama.attention.value_length": 40, "split.count": 3 };
    const header = await headerOf(fileOf({ ...tiny, more }));
    expect([header.keyLength, header.valueLength, header.splits]).toEqual([48, 40, 3]);
  });

  test("another architecture is told by its own keys", async () => {
    const header = await headerOf(fileOf({ ...tiny, architecture: "qwen3", contextTokens: 256 }));
    expect([header.architecture, header.contextTokens, header.layers]).toEqual(["qwen3", 256, 2]);
  });
});

describe("what is no sound GGUF", () => {
  const patched = (offset: number, ...values: number[]) => {
    const bytes = Buffer.from(tinyBytes);
    bytes.set(values, offset);
    return bytes;
  };
  const cases: [string, Uint8Array, string, string][] = [
    ["nothing", new Uint8Array(0), "model-broken", "the GGUF ends in the middle of its first bytes"],
    ["something else", Buffer.from("PK\u0003\u0004 a zip"), "model-broken", "it does not begin with GGUF"],
    ["version 1", patched(4, 1), "unsupported", "GGUF version 1"],
    ["version 9", patched(4, 9), "unsupported", "GGUF version 9"],
    ["big-endian", patched(4, 0, 0, 0, 3), "unsupported", "a big-endian GGUF"],
    [
      "too many tensors",
      patched(8, 0, 0, 0, 0, 1),
      "model-broken",
      "no sound GGUF: it has 4294967296 tensors",
    ],
    [
      "a count beyond all",
      patched(8, ...Array<number>(8).fill(255)),
      "model-broken",
      "no sound GGUF: the number of tensors is 18446744073709551615",
    ],
    [
      "a key beyond the file",
      patched(24, 0, 0, 16),
      "model-broken",
      "no sound GGUF: a key has 1048576 bytes",
    ],
    ["a key beyond all", patched(24, 0, 0, 0, 0, 0, 1), "model-broken", "no sound GGUF: a key has"],
  ];
  test.each(cases)("%s", async (_, bytes, code, message) => {
    const [is, said] = await refusal(bytes);
    expect(is).toBe(code);
    expect(said).toStartWith(message);
  });

  test("a file without its last byte is cut off, and says how much is missing", async () => {
    const bytes = tinyBytes.subarray(0, -1);
    expect(await refusal(bytes)).toEqual([
      "model-broken",
      `the GGUF is cut off: it has ${bytes.length} bytes, and ${tinyBytes.length} belong to it`,
    ]);
  });

  test("wherever it is cut, it is broken; nothing else is thrown", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: tinyBytes.length - 1 }), async (length) => {
        expect((await refusal(tinyBytes.subarray(0, length)))[0]).toBe("model-broken");
      }),
      { numRuns: 200 },
    );
  });

  test("whatever byte of the header is changed, it is read or refused as what it is", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 30_000 }),
        fc.integer({ min: 0, max: 255 }),
        async (at, byte) => {
          try {
            const header = await readGguf(bytesInMemory(patched(at, byte)));
            expect(header.weightsBytes).toBeLessThanOrEqual(tinyBytes.length);
          } catch (error) {
            expect(error).toBeInstanceOf(EngineError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("what a model will hold", () => {
  test.each([
    // Llama 3 8B: 32 layers, 8 kv heads of 128: 2 × 32 × 8 × 128 × 2 bytes, known as 128 KiB a token.
    ["Llama 3 8B", 32, 8, 128, 131_072],
    // Llama 2 7B: 32 layers, 32 heads of 128: 512 KiB a token, 2 GiB for 4,096.
    ["Llama 2 7B", 32, 32, 128, 524_288],
  ])("keys and values of one token of %s", (_, layers, heads, length, bytes) => {
    const shape = { kvHeads: Array<number>(layers).fill(heads), keyLength: length, valueLength: length };
    expect(kvBytesPerToken(shape as GgufHeader)).toBe(bytes);
  });

  test("weights and cache together, or null where the header does not tell", async () => {
    const header = await headerOf(fileOf({ ...tiny, kvHeads: 2 }));
    // 2 × 2 layers × 2 heads × 16 × 2 bytes.
    expect(kvBytesPerToken(header)).toBe(256);
    expect(modelBytes(header, 512)).toBe(header.weightsBytes + 131_072);
    expect(modelBytes({ ...header, kvHeads: null }, 512)).toBeNull();
    expect(modelBytes({ ...header, splits: 2 }, 512)).toBeNull();
  });

  test("bytes of tensors by their type", () => {
    expect(tensorBytes(0, 1_000)).toBe(4_000);
    expect(tensorBytes(12, 4_096)).toBe((4_096 / 256) * 144);
    expect(tensorBytes(8, 64)).toBe(68);
    expect(tensorType(14)?.name).toBe("Q6_K");
    expect(tensorBytes(99, 64)).toBeNull();
  });
});
