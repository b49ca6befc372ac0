/** A conversation cut to what a model can hold: whole turns go, the oldest first; what the system says stays. Pure. */

import type { ChatMessage } from "./engine.ts";

/** Characters a token until an engine has counted: English prose has some four, code and other languages fewer. */
const usualCharactersPerToken = 3.5;
/** What a template adds to each message. */
const messageTokens = 6;
/** No tokenizer is outside of these, on the whole. */
const leastCharacters = 0.5;
const mostCharacters = 12;
/** Weight of the newest count. */
const pace = 0.2;

export const charactersOf = (messages: readonly ChatMessage[]): number =>
  messages.reduce((sum, { content }) => sum + content.length, 0);

/** Tokens of texts, by characters; corrected by what an engine counted. */
export class TokenEstimate {
  #charactersPerToken = usualCharactersPerToken;

  /** Tokens of these messages with their template; rounded up. */
  of(messages: readonly ChatMessage[]): number {
    return this.ofSize(charactersOf(messages), messages.length);
  }

  /** The same for so many messages of so many characters together. */
  ofSize(characters: number, messages: number): number {
    return Math.ceil(characters / this.#charactersPerToken) + messages * messageTokens;
  }

  ofText(text: string): number {
    return Math.ceil(text.length / this.#charactersPerToken);
  }

  /** An engine counted so many tokens in messages of so many characters; short ones tell little. */
  counted(characters: number, messages: number, tokens: number): void {
    const own = tokens - messages * messageTokens;
    if (characters < 100 || own <= 0) return;
    const ratio = Math.min(mostCharacters, Math.max(leastCharacters, characters / own));
    this.#charactersPerToken += pace * (ratio - this.#charactersPerToken);
  }
}

export type CutConversation =
  | { fits: true; messages: readonly ChatMessage[]; droppedTurns: number; tokens: number }
  /** Even the last turn with what the system says is too long. */
  | { fits: false; tokens: number; mostTokens: number };

/** A turn: a question and what was answered. Answers before the first question are a turn of their own. */
function turnsOf(messages: readonly ChatMessage[]): ChatMessage[][] {
  const turns: ChatMessage[][] = [];
  for (const message of messages) {
    const last = turns.at(-1);
    const goesOn = last && (message.role === "assistant" || last.at(-1)?.role === "user");
    if (goesOn) last.push(message);
    else turns.push([message]);
  }
  return turns;
}

/** Whether so many messages with so many characters together may stay. */
export type Within = (characters: number, messages: number) => boolean;

export interface NewestTurns {
  /** What was not cut keeps its order, also where the system speaks in between. */
  messages: readonly ChatMessage[];
  droppedTurns: number;
}

/**
 * The newest whole turns that stay within the bound; what the system says is kept, wherever it stands. Null: not even the last
 * turn does. Takes time for each message once, however many turns go.
 */
export function newestTurns(messages: readonly ChatMessage[], within: Within): NewestTurns | null {
  const system = messages.filter(({ role }) => role === "system");
  const turns = turnsOf(messages.filter(({ role }) => role !== "system"));
  let characters = charactersOf(messages);
  let count = messages.length;
  for (let dropped = 0; dropped < turns.length; dropped++) {
    if (within(characters, count))
      return {
        messages: dropped === 0 ? messages : [...system, ...turns.slice(dropped).flat()],
        droppedTurns: dropped,
      };
    const turn = turns[dropped] ?? [];
    characters -= charactersOf(turn);
    count -= turn.length;
  }
  return null;
}

/** What the system says and the last turn: the least that is asked for. */
export function lastTurn(messages: readonly ChatMessage[]): ChatMessage[] {
  const system = messages.filter(({ role }) => role === "system");
  return [...system, ...(turnsOf(messages.filter(({ role }) => role !== "system")).at(-1) ?? [])];
}

/** The newest whole turns for which there is room beside the answer. */
export function cutToContext(
  messages: readonly ChatMessage[],
  contextTokens: number,
  answerTokens: number,
  estimate: TokenEstimate,
): CutConversation {
  const mostTokens = Math.max(0, contextTokens - answerTokens);
  const left = newestTurns(messages, (characters, count) => estimate.ofSize(characters, count) <= mostTokens);
  if (left === null) return { fits: false, tokens: estimate.of(lastTurn(messages)), mostTokens };
  return { fits: true, ...left, tokens: estimate.of(left.messages) };
}
