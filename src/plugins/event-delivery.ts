/** Events for one process of a plugin: as notices, which it does not answer, and no more than it reads. */

import type { ConductorEvent } from "../events/events.ts";
import { mostPatterns, type Wanted, wanted } from "../events/pattern.ts";
import type { Json } from "../sdk/plugin.ts";
import { eventFor, pluginPatternProblem } from "./event-view.ts";
import type { Transport } from "./transport.ts";

/** Where events come from. */
export interface EventSource {
  /** Calls `take` with each wanted event until the returned function is called. */
  subscribe(take: (event: ConductorEvent) => void, wants: Wanted): () => void;
  /** Told of each event that the plugin lost since it does not read. */
  dropped(plugin: string): void;
}

/** With so many bytes unread events are dropped: far less than what makes a request fail. */
const mostUnreadBytes = 256 * 1024;

export class EventDelivery {
  #unsubscribe: (() => void) | null = null;

  constructor(
    readonly plugin: string,
    readonly source: EventSource | undefined,
  ) {}

  /**
   * From now on it is told: of what its manifest names, and of what it answered to `initialize` under `events`. Fails when
   * that is no list of patterns.
   */
  begin(
    transport: Transport,
    manifest: readonly string[],
    answer: Json,
  ): { ok: true } | { ok: false; message: string } {
    const asked = patternsIn(answer);
    if (typeof asked === "string") return { ok: false, message: `initialize failed: ${asked}` };
    const patterns = [...manifest, ...asked];
    if (patterns.length === 0 || !this.source) return { ok: true };
    let dropped = 0;
    this.#unsubscribe = this.source.subscribe((event) => {
      const seen = eventFor(this.plugin, event);
      if (seen === null) return;
      const notice = dropped > 0 ? { ...seen, dropped } : seen;
      if (transport.notify("event", notice as unknown as Json, mostUnreadBytes)) dropped = 0;
      else {
        dropped++;
        this.source?.dropped(this.plugin);
      }
    }, wanted(patterns));
    return { ok: true };
  }

  /** Harmless when it never began. */
  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = null;
  }
}

/** The patterns in an answer to `initialize`, or what is wrong with them. */
function patternsIn(answer: Json): string[] | string {
  const { events } =
    typeof answer === "object" && answer !== null && !Array.isArray(answer) ? answer : { events: undefined };
  if (events === undefined) return [];
  if (!Array.isArray(events) || events.length > mostPatterns)
    return `events: expected a list of at most ${mostPatterns} names or groups, such as ["health.changed", "scaling.*"]`;
  const patterns: string[] = [];
  for (const pattern of events) {
    if (typeof pattern !== "string")
      return `events: ${JSON.stringify(pattern).slice(0, 80)}: expected a text`;
    const problem = pluginPatternProblem(pattern);
    if (problem !== null) return `events: ${problem}`;
    patterns.push(pattern);
  }
  return patterns;
}
