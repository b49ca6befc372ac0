/** Decisions as they are recorded, logged and announced, in one step. */

import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";
import type { DecisionRecord, Recorder } from "./ports.ts";

export interface AnnouncerOptions {
  recorder: Pick<Recorder, "open">;
  log: Log;
  publisher: Publisher;
}

export class Announcer {
  constructor(private readonly options: AnnouncerOptions) {}

  /** Records a decision and announces it; yields its id. */
  open(record: DecisionRecord): number {
    const { recorder, log, publisher } = this.options;
    const decisionId = recorder.open(record);
    const { rule, reason, actions, observed = false } = record;
    const names = actions.map(({ kind, plugin }) => `${kind} ${plugin}`);
    const facts = { decisionId, rule, reason, actions: names, observed };
    log.warn(observed ? "scaler.observed" : "scaler.decided", facts);
    publisher.publish("scaling.decision", facts);
    return decisionId;
  }
}
