/** A conversation that is kept and what a client sends of it: one history out of both. Pure. */

import { newestTurns } from "./conversation.ts";
import type { ChatMessage } from "./engine.ts";

/** Of one conversation; older turns go. */
const mostKeptMessages = 500;
const mostKeptCharacters = 2 ** 17;

/** A client that sends answers keeps the history itself: what it sends is the whole of it. */
const isWhole = (sent: readonly ChatMessage[]): boolean => sent.some(({ role }) => role === "assistant");

const isSystem = ({ role }: ChatMessage): boolean => role === "system";

/**
 * What is asked: the kept history and then what was sent; what the system says is the client's newest word on it. A client that
 * sends a whole history is taken at its word.
 */
export function carriedOn(
  kept: readonly ChatMessage[] | null,
  sent: readonly ChatMessage[],
): readonly ChatMessage[] {
  if (kept === null || isWhole(sent)) return sent;
  if (!sent.some(isSystem)) return [...kept, ...sent];
  const said = (message: ChatMessage) => !isSystem(message);
  return [...sent.filter(isSystem), ...kept.filter(said), ...sent.filter(said)];
}

/** What is kept from now on, with the answer; whole turns, the newest. Null: the last turn alone is too long to be kept. */
export function keptAfter(
  kept: readonly ChatMessage[] | null,
  sent: readonly ChatMessage[],
  answer: string,
): readonly ChatMessage[] | null {
  const whole: ChatMessage[] = [...carriedOn(kept, sent), { role: "assistant", content: answer }];
  const within = (characters: number, messages: number) =>
    characters <= mostKeptCharacters && messages <= mostKeptMessages;
  return newestTurns(whole, within)?.messages ?? null;
}
