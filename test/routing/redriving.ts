/** A redriver over the real database, a real router and scripted plugins, on a virtual clock. */

import type { EventMap, EventName } from "../../src/events/events.ts";
import { Redriver, type RedriverOptions } from "../../src/routing/redrive.ts";
import { compileRules, type RouteRules } from "../../src/routing/rules.ts";
import type { DeadLetter, DeadLetterDraft } from "../../src/storage/dead-letter-row.ts";
import { letterAt } from "../storage/letter-rows.ts";
import { recordedLog, storageAt } from "../storage/scratch.ts";
import { routing } from "./routed.ts";

export function redriving(
  over: Partial<RedriverOptions> = {},
  path = ":memory:",
  routes: () => RouteRules = () => compileRules([]),
) {
  const routed = routing({ rules: routes });
  const { clock, dispatcher, router } = routed;
  const { log, lines } = recordedLog();
  const storage = storageAt(path, { clock });
  const { deadLetters: letters, deadLetterQueries: queries } = storage;
  const events: { name: EventName; data: EventMap[EventName] }[] = [];
  const redriver = new Redriver({
    clock,
    log,
    publisher: { publish: (name, data) => void events.push({ name, data }) },
    letters,
    router,
    dispatcher,
    routes,
    rules: { maxRedrives: 3, firstDelayMs: 1_000, maxDelayMs: 60_000 },
    ratePerSecond: 10,
    ...over,
  });
  const park = (over: Partial<DeadLetterDraft> = {}): number => {
    const { id, problem } = letters.park(letterAt(clock.nowMs(), over));
    if (id === null) throw new Error(problem.message);
    return id;
  };
  const get = (id: number): DeadLetter => {
    const letter = letters.byId(id);
    if (!letter) throw new Error(`no letter ${id}`);
    return letter;
  };
  const states = (...ids: number[]) => ids.map((id) => get(id).state);
  /** Payloads that a plugin got, in order. */
  const handed = (plugin = "voice") =>
    dispatcher.calls.filter((call) => call.plugin === plugin).map(({ request }) => request.payload);
  const outcomes = () =>
    events.flatMap(({ name, data }) =>
      name === "deadletter.redriven" ? [(data as EventMap["deadletter.redriven"]).outcome] : [],
    );
  return {
    ...routed,
    storage,
    letters,
    queries,
    redriver,
    park,
    get,
    states,
    handed,
    events,
    outcomes,
    lines,
  };
}
