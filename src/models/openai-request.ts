/** What an OpenAI-compatible server is sent: https://platform.openai.com/docs/api-reference/chat/create and …/completions/create. */

import type { GenerateRequest } from "./engine.ts";

/** Newer models of OpenAI itself take only the second name; most compatible servers know the first. */
export type MaxTokensKey = "max_tokens" | "max_completion_tokens";

/** Path below the base URL and body of a streamed generation. */
export function openaiRequest(
  request: GenerateRequest,
  model: string,
  maxTokensKey: MaxTokensKey,
): { path: string; body: Record<string, unknown> } {
  const { input, maxTokens, temperature, topP, stop = [], seed } = request;
  const chat = "messages" in input;
  const body = {
    model,
    ...(chat
      ? { messages: input.messages.map(({ role, content }) => ({ role, content })) }
      : { prompt: input.prompt }),
    [chat ? maxTokensKey : "max_tokens"]: maxTokens,
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(stop.length === 0 ? {} : { stop }),
    ...(seed === undefined ? {} : { seed }),
    stream: true,
    // Without it the tokens of a streamed answer are not told.
    stream_options: { include_usage: true },
  };
  return { path: chat ? "/chat/completions" : "/completions", body };
}
