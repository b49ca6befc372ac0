import { describe, expect, test } from "bun:test";
import * as z from "zod";
import { describeIssues } from "../../src/config/issues.ts";
import { models, mostModels } from "../../src/config/models-schema.ts";

const schema = z.strictObject({ models });
const llama = { name: "big", engine: "llama", model: "/models/big.gguf", context: 8_192 };
const linesOf = (...list: object[]): string[] => {
  const raw = { models: list };
  const parsed = schema.safeParse(raw);
  return parsed.success ? [] : describeIssues(parsed.error, schema, raw, "c.yaml");
};

describe("models", () => {
  test("are none where nothing is written", () => {
    expect(schema.parse({}).models).toEqual([]);
  });

  test("are read with their units; qualities are spaced evenly where none is written", () => {
    const parsed = schema.parse({
      models: [
        { ...llama, stepDownAt: "85%", slowest: 2, threads: 4, gpuLayers: "auto" },
        { name: "mid", engine: "ollama", model: "qwen:3b", memory: "3GiB", context: 4_096, keepAlive: "1h" },
        {
          name: "far",
          engine: "openai",
          url: "https://models.example/v1",
          context: 4_096,
          keyVariable: "KEY",
        },
        {
          name: "own",
          engine: "command",
          command: ["server", "--port={port}"],
          memory: "1GiB",
          context: 2_048,
          grace: "2s",
        },
      ],
    }).models;
    expect(parsed.map(({ quality }) => quality)).toEqual([100, 75, 50, 25]);
    expect(parsed[0]?.stepDownAt).toBe(0.85);
    expect([parsed[1]?.memory, parsed[3]?.grace]).toEqual([3 * 2 ** 30, 2_000]);
  });

  test("every key is described", () => {
    const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as unknown as {
      properties: { models: { items: { properties: Record<string, { description?: string }> } } };
    };
    const keys = Object.entries(json.properties.models.items.properties);
    expect(keys.length).toBeGreaterThan(15);
    const bare = keys
      .filter(([name, { description }]) => name !== "name" && !description)
      .map(([name]) => name);
    expect(bare).toEqual([]);
  });

  test.each([
    ["a name that stands twice", [llama, llama], 'c.yaml: models[1].name: "big": "big" stands twice'],
    [
      "the name that leaves the choice open",
      [{ ...llama, name: "auto" }],
      'models[0].name: "auto": expected another name: a request with this one leaves the choice to conductor',
    ],
    ["no context", [{ ...llama, context: 0 }], "models[0].context: 0: expected a whole number from 1"],
    [
      "a quality that does not fall",
      [
        { ...llama, quality: 50 },
        { ...llama, name: "b", quality: 50 },
      ],
      'models[1].quality: 50: expected less than 50, the quality of "big" before it: the best stands first',
    ],
    [
      "a quality for some only",
      [
        { ...llama, quality: 50 },
        { ...llama, name: "b" },
      ],
      "models[1].quality: nothing: expected a quality, as other models have one; or give none of them any",
    ],
    [
      "no file",
      [{ ...llama, model: undefined }],
      "models[0].model: nothing: expected a value: the engine llama needs it",
    ],
    [
      "a relative file",
      [{ ...llama, model: "big.gguf" }],
      'model: "big.gguf": expected the absolute path of a GGUF',
    ],
    [
      "a key of another engine",
      [{ ...llama, url: "http://127.0.0.1:1" }],
      'models[0].url: "http://127.0.0.1:1": expected nothing: the engine llama has no such setting; ollama, openai know it',
    ],
    [
      "memory of another host",
      [{ name: "a", engine: "openai", url: "http://h/v1", context: 1, memory: "1GiB" }],
      "the engine openai has no such setting",
    ],
    [
      "no memory where no file tells",
      [{ name: "a", engine: "ollama", model: "m", context: 1 }],
      "models[0].memory: nothing: expected a value: the engine ollama needs it",
    ],
    [
      "a server without a port",
      [{ name: "a", engine: "command", command: ["server"], memory: "1GiB", context: 1 }],
      "expected {port} in an argument or in the environment",
    ],
    ["an unknown key", [{ ...llama, contxt: 1 }], 'models[0].contxt: unknown key; did you mean "context"?'],
    [
      "a wrong URL",
      [{ name: "a", engine: "openai", url: "ftp://h", context: 1 }],
      "expected a URL that begins with http",
    ],
    ["an unknown engine", [{ ...llama, engine: "vllm" }], "expected one of llama, ollama, openai, command"],
  ])("refuse %s", (_what, list, line) => {
    expect(linesOf(...list).join("\n")).toContain(line);
  });

  test(`are at most ${mostModels}`, () => {
    const many = Array.from({ length: mostModels + 1 }, (_, index) => ({ ...llama, name: `m${index}` }));
    expect(linesOf(...many).join("\n")).toContain(`at most ${mostModels}`);
  });
});
