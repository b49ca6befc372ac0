/** A request as a client makes it, fitted to the model that answers: older turns go, and the answer gets the room there is. */

import { charactersOf, lastTurn, newestTurns, type TokenEstimate } from "./conversation.ts";
import type { ChatMessage, GenerateRequest } from "./engine.ts";
import { mostInputCharacters, mostMessages } from "./request.ts";

/** `maxTokens` null: as many as there is room for, `mostUnaskedTokens` at most. */
export type AnswerRequest = Omit<GenerateRequest, "maxTokens"> & { maxTokens: number | null };

/** Tokens of an answer whose length was left open. */
export const mostUnaskedTokens = 4_096;
/** Room that an answer has to have, unless less is asked for: before it gets less, older turns go. */
const usualAnswerTokens = 512;
/** The same where even the last turn leaves less. */
const leastAnswerTokens = 32;
/** Of the room that is left by the estimate: some servers refuse what would come to more than their context. */
const usedRatio = 0.9;

export const messagesOf = ({ input }: Pick<AnswerRequest, "input">): readonly ChatMessage[] =>
  "messages" in input ? input.messages : [{ role: "user", content: input.prompt }];

/** Tokens of context that a model has to have at least, to answer the last turn. */
export function leastTokens(request: AnswerRequest, estimate: TokenEstimate): number {
  return (
    estimate.of(lastTurn(messagesOf(request))) +
    Math.min(request.maxTokens ?? leastAnswerTokens, leastAnswerTokens)
  );
}

/** Tokens with which nothing has to be cut. */
export const wholeTokens = (request: AnswerRequest, estimate: TokenEstimate): number =>
  estimate.of(messagesOf(request)) + (request.maxTokens ?? usualAnswerTokens);

export interface Fitted {
  request: GenerateRequest;
  droppedTurns: number;
}

/**
 * The request for a model with so much context; null when even the last turn is too long. A text to be continued is never
 * cut. `maxTokens` becomes what there is room for, so that the answer ends where the context does.
 */
export function fitted(
  request: AnswerRequest,
  contextTokens: number,
  estimate: TokenEstimate,
): Fitted | null {
  const asked = request.maxTokens ?? usualAnswerTokens;
  const usual = Math.min(asked, usualAnswerTokens, Math.max(leastAnswerTokens, contextTokens >> 2));
  return (
    fittedBeside(request, contextTokens, usual, estimate) ??
    fittedBeside(request, contextTokens, Math.min(asked, leastAnswerTokens), estimate)
  );
}

function fittedBeside(
  request: AnswerRequest,
  contextTokens: number,
  answerTokens: number,
  estimate: TokenEstimate,
): Fitted | null {
  const messages = messagesOf(request);
  const left = newestTurns(
    messages,
    (characters, count) =>
      estimate.ofSize(characters, count) + answerTokens <= contextTokens &&
      characters <= mostInputCharacters &&
      count <= mostMessages,
  );
  if (left === null) return null;
  const roomTokens = contextTokens - estimate.ofSize(charactersOf(left.messages), left.messages.length);
  const open = Math.max(1, Math.floor(Math.min(mostUnaskedTokens, usedRatio * roomTokens)));
  const maxTokens = request.maxTokens === null ? open : Math.min(request.maxTokens, roomTokens);
  const input = "prompt" in request.input ? request.input : { messages: left.messages };
  return { request: { ...request, input, maxTokens }, droppedTurns: left.droppedTurns };
}
