/** The local models as the rest of the house uses them. */

import type { ConversationStore } from "./conversation-store.ts";
import type { ModelManager } from "./manager.ts";

export interface ModelServing {
  manager: ModelManager;
  /** Conversations that are kept by the id that the client gave them. */
  conversations: ConversationStore;
}
