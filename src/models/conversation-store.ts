/** Conversations that go on when the model behind them changes: kept by id, bounded, the longest unused leaves. */

import type { ChatMessage } from "./engine.ts";

/** Where conversations are kept; one in memory is below, one on disk is another's to give. */
export interface ConversationStore {
  /** Null: there is none, or no more. */
  get(id: string): readonly ChatMessage[] | null;
  put(id: string, messages: readonly ChatMessage[]): void;
  delete(id: string): void;
}

export interface ConversationBounds {
  conversations: number;
  /** Of all of them together. */
  characters: number;
}

/** 256 conversations and 8 Mi characters (16 MB). */
export const conversationBounds: ConversationBounds = { conversations: 256, characters: 8 * 2 ** 20 };

const charactersOf = (messages: readonly ChatMessage[]): number =>
  messages.reduce((sum, { content }) => sum + content.length, 0);

export class MemoryConversations implements ConversationStore {
  readonly #bounds: ConversationBounds;
  readonly #kept = new Map<string, { messages: readonly ChatMessage[]; characters: number }>();
  #characters = 0;

  constructor(bounds: ConversationBounds = conversationBounds) {
    this.#bounds = bounds;
  }

  get characters(): number {
    return this.#characters;
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

  delete(id: string): void {
    this.#characters -= this.#kept.get(id)?.characters ?? 0;
    this.#kept.delete(id);
  }
}
