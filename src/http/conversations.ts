/** `/api/v1/conversations`: the histories that are kept for clients; whoever knows an id may read and delete that one. */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import { conversationIdExpected, isConversationId } from "./openai/kept-turn.ts";
import { problem } from "./problem.ts";
import { isoTimeOrNull, type Services } from "./services.ts";

/** The list and deleting all of them are for administrators. */
export function conversationRoutes(
  { models }: Pick<Services, "models">,
  administrators: MiddlewareHandler,
): Hono {
  const app = new Hono();
  app.get("/", administrators, (context) =>
    context.json({
      conversations: (models?.conversations.list() ?? []).map(({ atMs, ...rest }) => ({
        ...rest,
        writtenAt: isoTimeOrNull(atMs ?? null),
      })),
    }),
  );
  app.delete("/", administrators, (context) => {
    const ids = (models?.conversations.list() ?? []).map(({ id }) => id);
    return context.json({ deleted: ids.filter((id) => models?.conversations.delete(id)).length });
  });
  app.get("/:id", (context) => {
    const id = context.req.param("id");
    const messages = isConversationId(id) ? (models?.conversations.get(id) ?? null) : null;
    return messages === null ? unknown(context, id) : context.json({ id, messages });
  });
  app.delete("/:id", (context) => {
    const id = context.req.param("id");
    const deleted = isConversationId(id) && models?.conversations.delete(id) === true;
    return deleted ? context.json({ id, deleted }) : unknown(context, id);
  });
  return app;
}

const unknown = (context: Context, id: string) =>
  problem(context, {
    status: 404,
    code: "conversation_unknown",
    title: "There is no such conversation",
    detail: isConversationId(id)
      ? "it was deleted, or left for newer ones, or none was kept under this id"
      : `the id has ${conversationIdExpected}`,
  });
