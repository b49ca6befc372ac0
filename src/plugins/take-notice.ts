/** What a plugin says without being asked: log lines, and nothing else. */

import type { Json } from "../sdk/plugin.ts";
import type { InstancePorts } from "./instance-ports.ts";
import type { Notice } from "./transport.ts";

/** A log line to the log; anything else is junk. */
export function takeNotice(
  { method, params }: Notice,
  { junk, emitLog }: Pick<InstancePorts, "junk" | "emitLog">,
): void {
  const { message, fields } = (params ?? {}) as { message?: Json; fields?: Json };
  if (method !== "log" || typeof message !== "string") junk(`sent an unknown notice ${method.slice(0, 80)}`);
  else
    emitLog(
      "log",
      fields && Object.keys(fields).length > 0 ? `${message} ${JSON.stringify(fields)}` : message,
    );
}
