/** Keeps the last lines of every plugin, for those who ask for them. */

import type { EventBus } from "../events/bus.ts";
import { LogTail } from "../plugins/log-tail.ts";

/** A tail of what the plugins write from now on. */
export function keepLogs(events: EventBus): LogTail {
  const tail = new LogTail();
  events.on("plugin.log", (written, atMs) => tail.add(written, atMs));
  return tail;
}
