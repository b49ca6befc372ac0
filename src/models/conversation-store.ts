/** Conversations that go on when the model behind them changes: kept by id, bounded, the longest unused leaves. */

import { charactersOf } from "./conversation.ts";
import type { ChatMessage } from "./engine.ts";

/** What is told of a conversation without its words. */
export interface ConversationSummary {
  id: string;
  messages: number;
  characters: number;
  /** When it was last written, milliseconds since the epoch; absent: not known. */
  atMs?: number;
}

/** Where conversations are kept; one in memory is below, one on disk is another's to give. */
export interface ConversationStore {
  /** Null: there is none, or no more. */
  get(id: string): readonly ChatMessage[] | null;
  put(id: string, messages: readonly ChatMessage[]): void;
  /** Whether there was one. */
  delete(id: string): boolean;
  /** All of them, the one used last first: put or got. */
  list(): readonly ConversationSummary[];
}

export interface ConversationBounds {
  conversations: number;
  /** Of all of them together. */
  characters: number;
}

/** 256 conversations and 8 Mi characters (16 MB). */
export const conversationBounds: ConversationBounds = { conversations: 256, characters: 8 * 2 ** 20 };

export class MemoryConversations implements ConversationStore {
  readonly #bounds: ConversationBounds;
  readonly #kept = new Map<string, { messages: readonly ChatMessage[]; characters: number }>();
  #characters = 0;

  constructor(bounds: ConversationBounds = conversationBounds) {
    this.#bounds = bounds;
  }

  get(id: string): readonly ChatMessage[] | null {
    const found = this.#kept.get(id);
    if (!found) return null;
    this.#kept.delete(id);
    this.#kept.set(id, found);
    return found.messages;
  }

  /** One that is longer than all of them may be is not kept, nor what was kept under its id. */
  put(id: string, messages: readonly ChatMessage[]): void {
    this.delete(id);
    const characters = charactersOf(messages);
    if (characters > this.#bounds.characters) return;
    this.#kept.set(id, { messages: messages.map((message) => ({ ...message })), characters });
    this.#characters += characters;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#bounds.conversations && this.#characters <= this.#bounds.characters)
        return;
      this.delete(oldest);
    }
  }

  delete(id: string): boolean {
    this.#characters -= this.#kept.get(id)?.characters ?? 0;
    return this.#kept.delete(id);
  }

  list(): ConversationSummary[] {
    return [...this.#kept]
      .map(([id, { messages, characters }]) => ({ id, messages: messages.length, characters }))
      .reverse();
  }
}
