/**
 * What /v1/chat/completions and /v1/completions take: https://platform.openai.com/docs/api-reference/chat/create and
 * …/completions/create. What would change the answer and cannot be done is refused by its name; all else is left aside.
 */

import * as z from "zod";
import { describeIssues, formatPath } from "../../config/issues.ts";
import { anyModel } from "../../config/models-schema.ts";
import type { ChatMessage } from "../../models/engine.ts";
import type { AnswerRequest } from "../../models/fitting.ts";
import type { Problem } from "../problem.ts";

/** Of a completion whose length is left open, as OpenAI has it. */
const completionTokens = 16;
const mostTold = 5;

export interface OpenaiAsk {
  kind: "chat" | "completion";
  /** Null: the best that fits. */
  model: string | null;
  request: AnswerRequest;
  stream: boolean;
  /** A streamed answer ends with what it took. */
  includeUsage: boolean;
}

export type ReadAsk = { ok: true; ask: OpenaiAsk } | { ok: false; problem: Problem };

const tokens = z.int().min(1).max(1_000_000).nullish();

const common = {
  model: z.string().min(1).max(256).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: tokens,
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  stop: z
    .union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(4)], {
      error: "expected a text, or up to 4 of them, each of 1 to 256 characters",
    })
    .nullish(),
  seed: z.int().nullish(),
};

const textPart = z.looseObject({
  type: z.literal("text", { error: 'expected "text": images, sound and files are not understood' }),
  text: z.string(),
});
const text = z.union([z.string(), z.array(textPart).min(1).max(1_000)], {
  error: "expected a text, or a list of parts of the type text",
});
const message = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant"], {
    error: "expected system, developer, user or assistant: tools are not offered",
  }),
  content: text.nullish(),
  tool_calls: z.array(z.unknown()).max(0, "expected none: tools are not offered").nullish(),
});

const chatShape = z.looseObject({
  ...common,
  messages: z.array(message).min(1, "expected at least one message"),
  max_completion_tokens: tokens,
});
const completionShape = z.looseObject({
  ...common,
  prompt: z.union([z.string(), z.array(z.string()).length(1)], {
    error: "expected one text: lists of tokens and several prompts are not understood",
  }),
});

const absent = (value: unknown): boolean => value === undefined || value === null;
const empty = (value: unknown): boolean =>
  absent(value) ||
  value === false ||
  value === 0 ||
  (typeof value === "object" && Object.keys(Object(value)).length === 0);

/** Fields that would change the answer: the values that change nothing, and what to do instead. */
const unhonoured: Readonly<Record<string, readonly [harmless: (value: unknown) => boolean, why: string]>> = {
  n: [(value) => absent(value) || value === 1, "expected 1: ask again for another answer"],
  best_of: [(value) => absent(value) || value === 1, "expected 1: one answer is generated"],
  tools: [empty, "expected none: tools are not offered"],
  functions: [empty, "expected none: tools are not offered"],
  tool_choice: [
    (value) => absent(value) || value === "none" || value === "auto",
    "expected none: tools are not offered",
  ],
  function_call: [
    (value) => absent(value) || value === "none" || value === "auto",
    "expected none: tools are not offered",
  ],
  response_format: [
    (value) => absent(value) || (value as { type?: unknown }).type === "text",
    'expected {"type": "text"}: no other form can be promised',
  ],
  modalities: [
    (value) => absent(value) || (Array.isArray(value) && value.every((each) => each === "text")),
    'expected ["text"]',
  ],
  audio: [absent, "expected nothing: answers are texts"],
  web_search_options: [absent, "expected nothing: conductor does not search"],
  logprobs: [empty, "expected none: probabilities are not told"],
  top_logprobs: [empty, "expected none: probabilities are not told"],
  logit_bias: [empty, "expected none: it is not supported"],
  presence_penalty: [empty, "expected 0: it is not supported"],
  frequency_penalty: [empty, "expected 0: it is not supported"],
  echo: [empty, "expected false: put the prompt before the answer yourself"],
  suffix: [(value) => absent(value) || value === "", "expected nothing: it is not supported"],
};

const refusedField = (param: string, detail: string): ReadAsk => ({
  ok: false,
  problem: {
    status: 400,
    code: "invalid_value",
    title: "The request cannot be answered",
    detail,
    more: { param },
  },
});

/** The deepest reason of a choice between shapes that belongs to the part which is wrong. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const deeper = issue.errors.flat().find(({ path }) => path.length > 0);
  return deeper ? { ...innermost(deeper), path: [...issue.path, ...deeper.path] } : issue;
}

function wrongShape(schema: z.ZodType, error: z.ZodError, body: unknown): ReadAsk {
  const issues = error.issues.slice(0, mostTold).map(innermost);
  const details = describeIssues(new z.ZodError(issues), schema, body, "body");
  return refusedField(formatPath((issues[0]?.path ?? []) as (string | number)[]), details.join("; "));
}

const textOf = (content: z.output<typeof text> | null | undefined): string =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text).join("");

const messageOf = ({ role, content }: z.output<typeof message>): ChatMessage => ({
  role: role === "developer" ? "system" : role,
  content: textOf(content),
});

/** Any whole number as one of 32 bits, always the same. */
const seedOf = (seed: number): number => ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32;

type Common = z.output<z.ZodObject<typeof common>>;

function settingsOf({ temperature, top_p: topP, stop, seed }: Common) {
  return {
    ...(absent(temperature) ? {} : { temperature: temperature as number }),
    ...(absent(topP) ? {} : { topP: topP as number }),
    ...(absent(stop) ? {} : { stop: typeof stop === "string" ? [stop] : (stop as string[]) }),
    ...(absent(seed) ? {} : { seed: seedOf(seed as number) }),
  };
}

const headOf = ({ model, stream, stream_options: options }: Common) => ({
  model: absent(model) || model === anyModel ? null : (model as string),
  stream: stream === true,
  includeUsage: options?.include_usage === true,
});

/** What is asked, or why that cannot be done, with the field under `param`. `body` is any JSON. */
export function readAsk(kind: OpenaiAsk["kind"], body: unknown): ReadAsk {
  const given = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  for (const [param, [harmless, why]] of Object.entries(unhonoured))
    if (!harmless(given[param])) return refusedField(param, `${param}: ${why}`);
  if (kind === "chat") {
    const parsed = chatShape.safeParse(body);
    if (!parsed.success) return wrongShape(chatShape, parsed.error, body);
    const { data } = parsed;
    const maxTokens = data.max_completion_tokens ?? data.max_tokens ?? null;
    const input = { messages: data.messages.map(messageOf) };
    if (input.messages.at(-1)?.role !== "user")
      return refusedField("messages", "messages: the last one must have the role user");
    return { ok: true, ask: { kind, ...headOf(data), request: { input, maxTokens, ...settingsOf(data) } } };
  }
  const parsed = completionShape.safeParse(body);
  if (!parsed.success) return wrongShape(completionShape, parsed.error, body);
  const { data } = parsed;
  const prompt = typeof data.prompt === "string" ? data.prompt : (data.prompt[0] ?? "");
  if (prompt === "") return refusedField("prompt", "prompt: empty: expected a text to continue");
  const maxTokens = data.max_tokens ?? completionTokens;
  return {
    ok: true,
    ask: { kind, ...headOf(data), request: { input: { prompt }, maxTokens, ...settingsOf(data) } },
  };
}
