/** The conversation that a request belongs to: `X-Conversation-Id` names it, and its history is kept here. */

import type { Log } from "../../log.ts";
import type { ConversationStore } from "../../models/conversation-store.ts";
import type { ChatMessage } from "../../models/engine.ts";
import { carriedOn, keptAfter } from "../../models/kept-conversation.ts";
import { StorageError } from "../../storage/errors.ts";

export const conversationHeader = "X-Conversation-Id";
export const conversationIdExpected = "1 to 128 letters, digits, and any of . _ : -";
/** An id that a client chose: it can stand in a path and a header. */
export const isConversationId = (id: string): boolean => /^[A-Za-z0-9._:-]{1,128}$/.test(id);

/** Characters of an answer beyond which it is not kept: so much no conversation may have. */
const mostKeptCharacters = 2 ** 17;

/** One turn of it. What the client breaks off, or the model, is not kept. */
export class KeptTurn {
  readonly #store: ConversationStore;
  readonly #log: Log;
  readonly #id: string;
  readonly #sent: readonly ChatMessage[];
  readonly #before: readonly ChatMessage[] | null;
  #answer = "";

  constructor(store: ConversationStore, log: Log, id: string, sent: readonly ChatMessage[]) {
    this.#store = store;
    this.#log = log;
    this.#id = id;
    this.#sent = sent;
    this.#before = store.get(id);
  }

  /** What the model is asked. */
  get messages(): readonly ChatMessage[] {
    return carriedOn(this.#before, this.#sent);
  }

  said(text: string): void {
    if (this.#answer.length <= mostKeptCharacters) this.#answer += text;
  }

  /** Keeps question and answer, after whatever came into the conversation meanwhile. */
  ended(): void {
    if (this.#answer === "" || this.#answer.length > mostKeptCharacters) return;
    try {
      const now = this.#store.get(this.#id);
      // It was deleted while the model spoke, and stays so.
      if (this.#before !== null && now === null) return;
      const kept = keptAfter(now, this.#sent, this.#answer);
      if (kept !== null) this.#store.put(this.#id, kept);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      // The answer is worth more than its place in the history.
      this.#log.warn("conversation.not-kept", { error });
    }
  }
}
