/**
 * `/api/v1/events`: what happens, as server-sent events, each with its id. A client that comes back with the last id it
 * saw is sent what it missed, as far as that is kept, and is told how many events are not.
 */

import { type Context, Hono } from "hono";
import * as z from "zod";
import { eventIdPattern, mostKept } from "../events/event-log.ts";
import { type ConductorEvent, shownEvent } from "../events/events.ts";
import { mostPatterns, patternProblem, wanted } from "../events/pattern.ts";
import { type Feed, Followers } from "./followers.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import type { Services } from "./services.ts";

/** What an event costs beside its text while it waits. */
const overheadBytes = 128;
/** A client that comes back with what is no id of ours is told that nobody knows what it missed. */
const noId = "unknown";

const patterns = z
  .string()
  .default("*")
  .transform((text, context) => {
    const list = text.split(",").map((each) => each.trim());
    const problem =
      list.length > mostPatterns
        ? `expected at most ${mostPatterns} patterns, separated by commas`
        : list.map(patternProblem).find((each) => each !== null);
    if (problem) context.issues.push({ code: "custom", input: text, message: problem });
    return list;
  });

const query = z.strictObject({
  pattern: patterns,
  since: z.string().regex(eventIdPattern, "expected the id of an event, such as 1f3a9c02-17").optional(),
  last: wholeNumber(0, mostKept).default(0),
});

/** Each event as it is sent, made once for all clients, and gone with the event. */
const texts = new WeakMap<ConductorEvent, string>();

function textOf(event: ConductorEvent): string {
  const known = texts.get(event);
  if (known !== undefined) return known;
  const id = event.id === null ? "" : `id: ${event.id}\n`;
  // Of no type of its own: a browser's onmessage then takes whatever the pattern lets through.
  const text = `${id}data: ${JSON.stringify(shownEvent(event))}\n\n`;
  texts.set(event, text);
  return text;
}

const eventFeed: Pick<Feed<ConductorEvent>, "costOf" | "text"> = {
  costOf: (event) => Buffer.byteLength(textOf(event)) + overheadBytes,
  text: textOf,
};

export function eventRoutes({ clock, events, metrics }: Services): Hono {
  const followers = new Followers<ConductorEvent>(clock, "events", () =>
    metrics.countEventDrops("event followers"),
  );
  const app = new Hono();
  app.get("/", (context) => {
    const checked = checkedQuery(context, query);
    if (!checked.ok) return checked.response;
    const { pattern, since, last } = checked.value;
    const wants = wanted(pattern);
    const after = lastEventId(context) ?? since;
    return followers.answer(context, () => {
      const { events: kept, dropped, restarted } = events.read(wants, { last, after });
      return { ...eventFeed, kept, dropped, restarted, follow: (take) => events.follow(wants, take) };
    });
  });
  return app;
}

/** What a browser sends by itself when it connects again. */
function lastEventId(context: Context): string | undefined {
  const header = context.req.header("last-event-id");
  if (!header) return undefined;
  return eventIdPattern.test(header) ? header : noId;
}
