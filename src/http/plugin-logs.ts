/** `/api/v1/plugins/{name}/logs`: what a plugin wrote last, once or as it comes. */

import { type Context, Hono } from "hono";
import * as z from "zod";
import { costOf, type LogLine, mostLines } from "../plugins/log-tail.ts";
import { type Feed, Followers } from "./followers.ts";
import { problem } from "./problem.ts";
import { checkedQuery, wholeNumber } from "./query.ts";
import { isoTime, type Services } from "./services.ts";

const seq = wholeNumber(0, Number.MAX_SAFE_INTEGER);
const query = z.strictObject({
  lines: wholeNumber(0, mostLines).default(100),
  after: seq.optional(),
  follow: z.enum(["true", "false"]).optional(),
});

export function pluginLogRoutes(services: Services): Hono {
  const { clock, logs: tail, manager, metrics } = services;
  const followers = new Followers<LogLine>(clock, "a log", () => metrics.countEventDrops("log followers"));
  const app = new Hono();
  app.get("/:name/logs", (context) => {
    const name = context.req.param("name");
    if (!manager.view(name)) return unknown(context, name);
    const checked = checkedQuery(context, query);
    if (!checked.ok) return checked.response;
    const { lines, follow } = checked.value;
    const after = lastEventId(context) ?? checked.value.after;
    if (!wantsEvents(context, follow)) {
      const { logs, dropped } = tail.read(name, { lines, after });
      return context.json({ logs: logs.map(shownLine), dropped });
    }
    return followers.answer(context, () => {
      const from = { lines: after === undefined ? lines : mostLines, after };
      const { logs, dropped } = tail.read(name, from);
      return { ...lineFeed, kept: logs, dropped, follow: (take) => tail.follow(name, take) };
    });
  });
  return app;
}

/** A line as both forms of the log show it. */
const shownLine = ({ seq, atMs, stream, line }: LogLine) => ({ seq, at: isoTime(atMs), stream, line });

const lineFeed: Pick<Feed<LogLine>, "costOf" | "text"> = {
  costOf,
  text: (line) => `event: log\nid: ${line.seq}\ndata: ${JSON.stringify(shownLine(line))}\n\n`,
};

/** `follow` decides where it is given, else what the client accepts. */
const wantsEvents = (context: Context, follow: "true" | "false" | undefined): boolean =>
  follow === undefined
    ? (context.req.header("accept") ?? "").includes("text/event-stream")
    : follow === "true";

/** The last line that a client which comes back has seen; one that it cannot have from us counts as none. */
function lastEventId(context: Context): number | undefined {
  const header = context.req.header("last-event-id");
  const parsed = header ? seq.safeParse(header) : null;
  return parsed?.success ? parsed.data : undefined;
}

const unknown = (context: Context, name: string) =>
  problem(context, {
    status: 404,
    code: "unknown_plugin",
    title: "There is no such plugin",
    detail: `${name.slice(0, 80)}: no such plugin; /api/v1/plugins lists them`,
  });
