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

/** Tokens of texts, by characters; corrected by what an engine counted. */
export class TokenEstimate {
  #charactersPerToken = usualCharactersPerToken;

  /** Tokens of these messages with their template; rounded up. */
  of(messages: readonly ChatMessage[]): number {
    const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
    return Math.ceil(characters / this.#charactersPerToken) + messages.length * messageTokens;
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

/** The newest whole turns for which there is room beside the answer; what the system says is kept, wherever it stands. */
export function cutToContext(
  messages: readonly ChatMessage[],
  contextTokens: number,
  answerTokens: number,
  estimate: TokenEstimate,
): CutConversation {
  const mostTokens = Math.max(0, contextTokens - answerTokens);
  const system = messages.filter(({ role }) => role === "system");
  const turns = turnsOf(messages.filter(({ role }) => role !== "system"));
  for (let dropped = 0; dropped < turns.length; dropped++) {
    const left = [...system, ...turns.slice(dropped).flat()];
    const tokens = estimate.of(left);
    if (tokens <= mostTokens)
      return {
        fits: true,
        // What was not cut keeps its order, also where the system speaks in between.
        messages: dropped === 0 ? messages : left,
        droppedTurns: dropped,
        tokens,
      };
  }
  const least = [...system, ...(turns.at(-1) ?? [])];
  return { fits: false, tokens: estimate.of(least), mostTokens };
}
