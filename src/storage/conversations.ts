/** Conversations with the local models, kept by the id that the client gave them: bounded, the longest unused leaves. */

import type { Statement } from "bun:sqlite";
import type { ConductorDatabase } from "./database.ts";
import type { WriteGuard } from "./write-guard.ts";

export interface KeptMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface KeptConversation {
  id: string;
  /** When it was last written. */
  atMs: number;
  messages: number;
  characters: number;
}

export interface ConversationLimits {
  conversations: number;
  /** Of all of them together. */
  characters: number;
}

/** 256 conversations and 8 Mi characters. */
export const usualConversations: ConversationLimits = { conversations: 256, characters: 8 * 2 ** 20 };

const charactersOf = (messages: readonly KeptMessage[]): number =>
  messages.reduce((sum, { content }) => sum + content.length, 0);

export class Conversations {
  readonly #put: Statement;
  readonly #use: Statement;
  readonly #delete: Statement;
  readonly #get: Statement<{ messages: string }, [string]>;
  readonly #list: Statement<KeptConversation, []>;
  readonly #held: Statement<{ conversations: number; characters: number | null }, []>;
  readonly #oldest: Statement<{ id: string; characters: number }, []>;

  constructor(
    private readonly database: ConductorDatabase,
    private readonly guard: WriteGuard,
    private readonly limits: ConversationLimits = usualConversations,
    private readonly nowMs: () => number,
  ) {
    const next = "(SELECT coalesce(max(used), 0) + 1 FROM conversations)";
    this.#put = database.prepare(
      `INSERT OR REPLACE INTO conversations (id, used, at_ms, turns, characters, messages) VALUES (?, ${next}, ?, ?, ?, ?)`,
    );
    this.#use = database.prepare(`UPDATE conversations SET used = ${next} WHERE id = ?`);
    this.#delete = database.prepare("DELETE FROM conversations WHERE id = ?");
    this.#get = database.prepare("SELECT messages FROM conversations WHERE id = ?") as Statement<
      { messages: string },
      [string]
    >;
    this.#list = database.prepare(
      "SELECT id, at_ms AS atMs, turns AS messages, characters FROM conversations ORDER BY used DESC",
    ) as Statement<KeptConversation, []>;
    this.#held = database.prepare(
      "SELECT count(*) AS conversations, sum(characters) AS characters FROM conversations",
    ) as Statement<{ conversations: number; characters: number | null }, []>;
    this.#oldest = database.prepare(
      "SELECT id, characters FROM conversations ORDER BY used LIMIT 1",
    ) as Statement<{ id: string; characters: number }, []>;
  }

  /** Null: there is none, or no more. Throws StorageError. */
  get(id: string): readonly KeptMessage[] | null {
    const row = this.database.read(() => this.#get.get(id));
    if (!row) return null;
    this.guard.attempt("models", "crash", () => void this.#use.run(id));
    return JSON.parse(row.messages) as KeptMessage[];
  }

  /** One that is longer than all of them may be is not kept, nor what was kept under its id. */
  put(id: string, messages: readonly KeptMessage[]): void {
    const characters = charactersOf(messages);
    const fits = characters <= this.limits.characters;
    const kept = messages.map(({ role, content }) => ({ role, content }));
    this.guard.attempt("models", "crash", () => {
      if (!fits) {
        this.#delete.run(id);
        return;
      }
      this.#put.run(id, Math.trunc(this.nowMs()), messages.length, characters, JSON.stringify(kept));
      this.#bound();
    });
  }

  /** The newest is within the bounds by itself, so this ends. */
  #bound(): void {
    const held = this.#held.get();
    let { conversations } = held ?? { conversations: 0 };
    let characters = held?.characters ?? 0;
    while (conversations > this.limits.conversations || characters > this.limits.characters) {
      const oldest = this.#oldest.get();
      if (!oldest) return;
      this.#delete.run(oldest.id);
      conversations--;
      characters -= oldest.characters;
    }
  }

  /** Whether there was one; false also where the disk refuses. */
  delete(id: string): boolean {
    let found = false;
    const { problem } = this.guard.attempt("models", "crash", () => {
      found = this.#delete.run(id).changes > 0;
    });
    return problem === null && found;
  }

  /** The one used last first. Throws StorageError. */
  list(): KeptConversation[] {
    return this.database.read(() => this.#list.all());
  }
}
