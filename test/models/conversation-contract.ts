/** What every store of conversations does. */

import { describe, expect, test } from "bun:test";
import type { ConversationBounds, ConversationStore } from "../../src/models/conversation-store.ts";
import type { ChatMessage } from "../../src/models/engine.ts";

const said = (content: string): ChatMessage[] => [
  { role: "system", content: "be short" },
  { role: "user", content },
];
/** Characters of `said(…)` beside the content. */
const base = 8;

const listed = (store: ConversationStore) =>
  store.list().map(({ id, messages, characters }) => ({ id, messages, characters }));

/** `open` makes an empty store with these bounds; `close` is called after each test. */
export function conversationContract(
  name: string,
  open: (bounds: ConversationBounds) => { store: ConversationStore; close(): void },
): void {
  const roomy = { conversations: 10, characters: 10_000 };
  const withStore = (bounds: ConversationBounds, run: (store: ConversationStore) => void) => () => {
    const { store, close } = open(bounds);
    try {
      run(store);
    } finally {
      close();
    }
  };

  describe(`conversations: ${name}`, () => {
    test(
      "gives back what was put, and null for what never was",
      withStore(roomy, (store) => {
        expect(store.get("a")).toBeNull();
        store.put("a", said("hello"));
        store.put("b", said("ünïcödé \u0000 💾"));
        expect(store.get("a")).toEqual(said("hello"));
        expect(store.get("b")).toEqual(said("ünïcödé \u0000 💾"));
        expect(store.get("A")).toBeNull();
      }),
    );

    test(
      "keeps its own copy",
      withStore(roomy, (store) => {
        const messages = said("hello");
        store.put("a", messages);
        messages.push({ role: "assistant", content: "later" });
        const [first] = messages;
        if (first) first.content = "changed";
        expect(store.get("a")).toEqual(said("hello"));
      }),
    );

    test(
      "puts in place of what was there",
      withStore(roomy, (store) => {
        store.put("a", said("hello"));
        store.put("a", said("bye"));
        expect(store.get("a")).toEqual(said("bye"));
        expect(listed(store)).toEqual([{ id: "a", messages: 2, characters: base + 3 }]);
      }),
    );

    test(
      "deletes, and tells whether there was anything",
      withStore(roomy, (store) => {
        store.put("a", said("hello"));
        expect([store.delete("a"), store.delete("a")]).toEqual([true, false]);
        expect([store.get("a"), listed(store)]).toEqual([null, []]);
      }),
    );

    test(
      "lists the one used last first, without the words",
      withStore(roomy, (store) => {
        for (const id of ["a", "b", "c"]) store.put(id, said(id.repeat(3)));
        store.get("a");
        expect(listed(store)).toEqual(
          ["a", "c", "b"].map((id) => ({ id, messages: 2, characters: base + 3 })),
        );
      }),
    );

    test(
      "is bounded in number: the longest unused leaves",
      withStore({ ...roomy, conversations: 2 }, (store) => {
        store.put("a", said("1"));
        store.put("b", said("2"));
        store.get("a");
        store.put("c", said("3"));
        expect(store.list().map(({ id }) => id)).toEqual(["c", "a"]);
      }),
    );

    test(
      "is bounded in characters of all together; what is longer alone is not kept, nor what stood there",
      withStore({ ...roomy, characters: 40 }, (store) => {
        store.put("a", said("x".repeat(12)));
        store.put("b", said("x".repeat(12)));
        store.put("c", said("x"));
        expect(store.list().map(({ id }) => id)).toEqual(["c", "b"]);
        store.put("c", said("x".repeat(33)));
        expect(store.list().map(({ id }) => id)).toEqual(["b"]);
      }),
    );
  });
}
