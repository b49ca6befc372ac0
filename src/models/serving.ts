/** The local models as the rest of the house uses them. */

import type { ConversationStore } from "./conversation-store.ts";
import type { ModelManager } from "./manager.ts";
import type { MemoryUser } from "./suggestions.ts";

export interface ModelServing {
  manager: ModelManager;
  /** Conversations that are kept by the id that the client gave them. */
  conversations: ConversationStore;
  /** Processes beside the plugins that use the host's memory, the largest first; looked for when it is asked. */
  otherProcesses: () => readonly MemoryUser[];
}
