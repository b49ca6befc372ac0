/** What the parts of the conductor announce to each other and to those who watch. */

/**
 * How a plugin's versions were exchanged: the new one took over beside the old one, or after it was stopped, or the new one
 * was not well and the old one went on, or a kept version came back by order.
 */
export type SwapOutcome = "swapped" | "stopped_first" | "kept_old" | "rolled_back";

/**
 * What came of a redrive. failed: it will be sent again. poison: it failed too often. unsent: the plugin was not asked.
 * held: it may have been carried out or not, so a person has to say.
 */
export type RedriveOutcome = "answered" | "failed" | "poison" | "unsent" | "held";

/** What a local model can do: its rank from 1 to 100 among the configured ones, and its context. */
export interface ModelCapability {
  quality: number;
  contextTokens: number;
}

/** Every event that a part of the conductor announces, by name. Payload keys carry their units. */
export interface EventMap {
  "plugin.state": { plugin: string; from: string; to: string; reason: string };
  "plugin.exit": {
    plugin: string;
    exitCode: number | null;
    signal: string | null;
    /** Its memory was over a limit: its own, or all that there was. */
    outOfMemory: boolean;
    expected: boolean;
    /** Processes of it that still take requests. */
    remaining: number;
  };
  /** How many processes take requests now. */
  "plugin.instances": { plugin: string; instances: number };
  /** A plugin was found while conductor runs, or its folder is gone and it has ended. */
  "plugin.listed": { plugin: string; present: boolean };
  /** A new version took over, or did not. */
  "plugin.swapped": { plugin: string; from: string; to: string; outcome: SwapOutcome; reason: string };
  "plugin.log": { plugin: string; stream: "stdout" | "stderr" | "log"; line: string };
  "health.changed": { platform: string; from: string; to: string; detail: string };
  "breaker.changed": { platform: string; from: string; to: string; reason: string };
  "scaling.decision": {
    decisionId: number;
    rule: string;
    reason: string;
    actions: string[];
    /** It is only what would be done: conductor observes. */
    observed: boolean;
  };
  /** Another policy acts from now on, or one has passed its probation. */
  "scaling.policy": {
    shadow: string;
    change: "promoted" | "kept" | "rolled-back";
    /** person, evidence or probation. */
    by: string;
    reason: string;
  };
  "forecast.trained": {
    trigger: string;
    reason: string;
    adopted: boolean;
    points: number;
    errorBefore: number | null;
    errorAfter: number | null;
  };
  /** The smoothed forecast went over a line of the scaler, or came back under it. */
  "forecast.crossing": {
    threshold: "shed" | "emergency";
    direction: "above" | "below";
    valueRatio: number;
    thresholdRatio: number;
    horizonMs: number;
  };
  "forecast.anomaly": { kind: string; value: number; detail: string };
  /** Another local model answers from now on, or the same with another context; null: none does. */
  "model.changed": {
    from: string | null;
    to: string | null;
    old: ModelCapability | null;
    new: ModelCapability | null;
    reason: string;
  };
  /** A request that could not be answered was kept. */
  "deadletter.parked": { deadLetterId: number; platform: string; kind: string };
  /** A kept request was sent again, or could not be. */
  "deadletter.redriven": { deadLetterId: number; platform: string; outcome: RedriveOutcome; reason: string };
  /** Kept requests of a platform whose time was over. */
  "deadletter.expired": { platform: string; deadLetters: number };
  "monitor.gap": { source: string; error: string };
}

export type EventName = keyof EventMap;

const named: Record<EventName, true> = {
  "plugin.state": true,
  "plugin.exit": true,
  "plugin.instances": true,
  "plugin.listed": true,
  "plugin.swapped": true,
  "plugin.log": true,
  "health.changed": true,
  "breaker.changed": true,
  "scaling.decision": true,
  "scaling.policy": true,
  "forecast.trained": true,
  "forecast.crossing": true,
  "forecast.anomaly": true,
  "monitor.gap": true,
  "model.changed": true,
  "deadletter.parked": true,
  "deadletter.redriven": true,
  "deadletter.expired": true,
};

/** Every name that an event can have. */
export const eventNames = Object.keys(named) as readonly EventName[];

/** One announced event. */
export type ConductorEvent = {
  [Name in EventName]: {
    name: Name;
    atMs: number;
    data: EventMap[Name];
    /** `RUN-SEQ`: unique, and within a run of conductor one more for each event; null for a plugin's log line. */
    id: string | null;
  };
}[EventName];

/** An event as it leaves conductor. */
export const shownEvent = ({ id, name, atMs, data }: ConductorEvent) => ({
  id,
  name,
  at: new Date(atMs).toISOString(),
  data,
});
