/** `models` in `conductor.yaml`: the tiers of local models, the best first, and the engine behind each. */

import * as z from "zod";
import { bytes, count, duration, pluginName, ratio } from "./quantities.ts";

/** More are no ladder any more. */
export const mostModels = 16;
/** What a request names that leaves the choice to conductor. */
export const anyModel = "auto";
const mostContextTokens = 2_000_000;

const engines = ["llama", "ollama", "openai", "command"] as const;

const tierShape = z.strictObject({
  name: pluginName.describe("In status, metrics, events and requests"),
  engine: z
    .enum(engines)
    .describe(
      "llama: a GGUF in a process of conductor's own; ollama; openai: any compatible server; command: a server that conductor starts",
    ),
  model: z
    .string()
    .min(1)
    .max(1_024)
    .optional()
    .describe(
      "llama: absolute path of the GGUF; else its name at the server (openai, command: the first listed)",
    ),
  memory: bytes()
    .optional()
    .describe("What it takes with its whole context; llama: default from the file; openai: takes none here"),
  context: count(1, mostContextTokens).describe("Tokens of prompt and answer together"),
  quality: count(1, 100)
    .optional()
    .describe("1 to 100, falling from the first model to the last; default: evenly spaced"),
  stepDownAt: ratio()
    .optional()
    .describe("Give way to a smaller model at this share of the budget; default: 80%, the last model 93%"),
  slowest: z
    .number()
    .positive()
    .max(10_000)
    .optional()
    .describe("Tokens a second under which it gives way to a smaller model; default: never"),
  url: z
    .url({ protocol: /^https?$/, error: "expected a URL that begins with http:// or https://" })
    .optional()
    .describe(
      "ollama: default http://127.0.0.1:11434; openai: with the version, as in http://127.0.0.1:8080/v1",
    ),
  keyVariable: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "expected the name of an environment variable")
    .optional()
    .describe("openai: the environment variable that holds the key; default: none is sent"),
  maxTokensKey: z
    .enum(["max_tokens", "max_completion_tokens"])
    .optional()
    .describe("openai: how the server calls the most tokens; default: max_tokens"),
  keepAlive: z
    .string()
    .regex(/^(-1|\d+(ms|s|m|h))$/, "expected -1 or a time such as 5m")
    .optional()
    .describe("ollama: how long it holds the model after a call; default: -1, until conductor unloads it"),
  command: z
    .array(z.string().max(4_096))
    .min(1)
    .max(256)
    .optional()
    .describe("command: the program and its arguments; {port} stands for the port to listen on"),
  environment: z.record(z.string(), z.string()).optional().describe("command: variables for the program"),
  healthPath: z
    .string()
    .regex(/^\//, "expected a path that begins with /")
    .optional()
    .describe("command: answers 2xx when the model is ready; default: /health"),
  grace: duration(0, 600_000, "at most 10m")
    .optional()
    .describe("command: from SIGTERM to SIGKILL; default: 5s"),
  parallel: count(1, 256).optional().describe("Answers at once; llama: always 1; default: 1"),
  threads: count(1, 1_024).optional().describe("llama: default: as many as the machine has cores"),
  gpuLayers: z
    .union([count(0, 10_000), z.literal("auto")], { error: "expected a number of layers, or auto" })
    .optional()
    .describe("llama: layers on the graphics card; default: auto"),
});

type Written = z.output<typeof tierShape>;
type EngineName = Written["engine"];

/** Keys that only some engines know: whom they are for, and who needs them. */
const ofEngines: Partial<
  Record<keyof Written, { for: readonly EngineName[]; needed: readonly EngineName[] }>
> = {
  model: { for: engines, needed: ["llama", "ollama"] },
  memory: { for: ["llama", "ollama", "command"], needed: ["ollama", "command"] },
  url: { for: ["ollama", "openai"], needed: ["openai"] },
  keyVariable: { for: ["openai"], needed: [] },
  maxTokensKey: { for: ["openai"], needed: [] },
  keepAlive: { for: ["ollama"], needed: [] },
  command: { for: ["command"], needed: ["command"] },
  environment: { for: ["command"], needed: [] },
  healthPath: { for: ["command"], needed: [] },
  grace: { for: ["command"], needed: [] },
  parallel: { for: ["ollama", "openai", "command"], needed: [] },
  threads: { for: ["llama"], needed: [] },
  gpuLayers: { for: ["llama"], needed: [] },
};

function engineChecks(tier: Written, refuse: (key: string, message: string) => void): void {
  for (const [key, rule] of Object.entries(ofEngines)) {
    const given = tier[key as keyof Written] !== undefined;
    if (!given && rule.needed.includes(tier.engine))
      refuse(key, `expected a value: the engine ${tier.engine} needs it`);
    if (given && !rule.for.includes(tier.engine))
      refuse(
        key,
        `expected nothing: the engine ${tier.engine} has no such setting; ${rule.for.join(", ")} know it`,
      );
  }
  if (tier.engine === "llama" && tier.model !== undefined && !tier.model.startsWith("/"))
    refuse("model", "expected the absolute path of a GGUF");
  if (tier.engine === "command" && tier.command && !tier.command.join(" ").includes("{port}"))
    if (!Object.values(tier.environment ?? {}).some((value) => value.includes("{port}")))
      refuse(
        "command",
        "expected {port} in an argument or in the environment: where the server has to listen",
      );
}

const tier = tierShape.superRefine((value, context) =>
  engineChecks(value, (key, message) => context.addIssue({ code: "custom", path: [key], message })),
);

/** Either every model has a quality, falling, or none. */
function qualityProblem(tiers: readonly Written[], index: number): string | null {
  const own = tiers[index]?.quality;
  const given = tiers.filter(({ quality }) => quality !== undefined).length;
  if (own === undefined)
    return given > 0 ? "expected a quality, as other models have one; or give none of them any" : null;
  const before = tiers[index - 1];
  return before?.quality !== undefined && own >= before.quality
    ? `expected less than ${before.quality}, the quality of "${before.name}" before it: the best stands first`
    : null;
}

/** Evenly spaced: of four models 100, 75, 50, 25. */
const spaced = (index: number, models: number): number => Math.round((100 * (models - index)) / models);

/** The tiers, the best first; without any, conductor runs no model. */
export const models = z
  .array(tier)
  .max(mostModels)
  .superRefine((tiers, context) => {
    tiers.forEach(({ name }, index) => {
      if (tiers.findIndex((other) => other.name === name) < index)
        context.addIssue({ code: "custom", path: [index, "name"], message: `"${name}" stands twice` });
      if (name === anyModel)
        context.addIssue({
          code: "custom",
          path: [index, "name"],
          message: "expected another name: a request with this one leaves the choice to conductor",
        });
      const problem = qualityProblem(tiers, index);
      if (problem !== null) context.addIssue({ code: "custom", path: [index, "quality"], message: problem });
    });
  })
  .transform((tiers) =>
    tiers.map(({ quality, ...rest }, index) => ({
      ...rest,
      quality: quality ?? spaced(index, tiers.length),
    })),
  )
  .prefault([]);

/** One tier as it was written, with its quality. */
export type ModelSettings = z.output<typeof models>[number];
