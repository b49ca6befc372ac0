import { VirtualClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import type { Outcome, RouteRequest } from "../../src/routing/outcome.ts";
import { Router, type RouterOptions } from "../../src/routing/router.ts";
import { ScriptedDispatcher, ScriptedGate } from "./scripted-dispatcher.ts";

/** A router over scripted plugins voice, discord and stubs on a virtual clock; everything falls back to stubs. */
export function routing(over: Partial<RouterOptions> = {}) {
  const clock = new VirtualClock(1_000_000);
  const dispatcher = new ScriptedDispatcher(clock, ["voice", "discord", "stubs"]);
  const breakers = new ScriptedGate();
  const observed: Outcome[] = [];
  let id = 0;
  const router = new Router({
    clock,
    log: silentLog,
    dispatcher,
    breakers,
    fallbacks: () => ["stubs"],
    newRequestId: () => `r${++id}`,
    observers: [{ routed: (outcome) => observed.push(outcome) }],
    ...over,
  });
  /** Routes and turns the clock until the outcome is there, at most 20 s. */
  const ask = async (request: Partial<RouteRequest>): Promise<Outcome> => {
    let outcome: Outcome | undefined;
    const asked = router.route({ platform: "voice", payload: { say: "hi" }, ...request });
    void asked.then((settled) => {
      outcome = settled;
    });
    for (let turn = 0; turn < 20_000 && !outcome; turn++) await clock.advance(1);
    if (!outcome) throw new Error("no outcome within 20 s");
    return outcome;
  };
  return { clock, dispatcher, breakers, observed, router, ask };
}
