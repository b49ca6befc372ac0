/** Gaps whose log lines, events and counts a test can look at. */

import type { EventMap, EventName } from "../../src/events/events.ts";
import { createLog } from "../../src/log.ts";
import { Gaps } from "../../src/monitor/gaps.ts";

export function notedGaps() {
  const lines: { level: string; event: string; source?: string; error?: string; receiver?: string }[] = [];
  const events: { name: EventName; data: EventMap[EventName] }[] = [];
  const metric: string[] = [];
  const log = createLog({
    level: "debug",
    format: "json",
    nowMs: () => 0,
    write: (line) => lines.push(JSON.parse(line)),
  });
  const publisher = {
    publish: <Name extends EventName>(name: Name, data: EventMap[Name]) => void events.push({ name, data }),
  };
  const gaps = new Gaps(log, publisher, (source) => metric.push(source));
  /** Event and source of each line, such as "monitor.gap memory". */
  const logged = () =>
    lines.map(({ event, source, receiver }) => `${event} ${source ?? receiver ?? ""}`.trim());
  return { gaps, log, lines, logged, events, metric };
}
