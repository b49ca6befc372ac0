import { VirtualClock } from "../../src/clock.ts";
import { HealthMonitor, type HealthMonitorOptions } from "../../src/health/monitor.ts";
import type { CheckAnswer, HealthResult } from "../../src/health/probe.ts";
import { silentLog } from "../../src/log.ts";
import { Recorder } from "./recorder.ts";
import { type Behaviour, ScriptedProbe } from "./scripted-probe.ts";

/** Between two checks of one plugin. */
export const intervalMs = 5_000;

/** A monitor over scripted plugins on a virtual clock, and what it told. */
export function monitor(
  names: readonly string[],
  over: { timeoutMs?: number; clock?: VirtualClock } & Pick<HealthMonitorOptions, "sparse" | "beaten"> = {},
) {
  const clock = over.clock ?? new VirtualClock(1_000_000);
  const events = new Recorder();
  const probe = new ScriptedProbe(clock, names);
  const results: HealthResult[] = [];
  const subject = new HealthMonitor({
    clock,
    log: silentLog,
    events,
    probe,
    observers: [{ checked: (result) => results.push(result) }],
    intervalMs,
    timeoutMs: over.timeoutMs ?? 5_000,
    slowMs: 200,
    failures: 3,
    seed: 1,
    ...(over.sparse ? { sparse: over.sparse } : {}),
    ...(over.beaten ? { beaten: over.beaten } : {}),
  });
  const of = (name: string) => subject.status().find((health) => health.plugin === name);
  return { clock, events, probe, results, subject, of };
}

/** A clock that can be held up: `block` moves time on without firing anything. */
export class BlockableClock extends VirtualClock {
  #blockedMs = 0;
  block(ms: number): void {
    this.#blockedMs += ms;
  }
  override monotonicMs(): number {
    return super.monotonicMs() + this.#blockedMs;
  }
}

/** Fails in that way after a millisecond. */
export const fail = (kind: "error" | "exited"): Behaviour => ({
  afterMs: 1,
  answer: { status: "failure", kind, detail: `it ${kind}` },
});
/** Answers that after `afterMs`. */
export const says = (answer: CheckAnswer, afterMs = 1): Behaviour => ({ afterMs, answer });
