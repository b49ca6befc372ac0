/** Every event that a part of the conductor announces, by name. Payload keys carry their units. */
export interface EventMap {
  "plugin.state": { plugin: string; from: string; to: string; reason: string };
  "plugin.exit": {
    plugin: string;
    exitCode: number | null;
    signal: string | null;
    expected: boolean;
    /** Processes of it that still take requests. */
    remaining: number;
  };
  /** How many processes take requests now. */
  "plugin.instances": { plugin: string; instances: number };
  /** A new version took over, or did not. */
  "plugin.swapped": { plugin: string; from: string; to: string; outcome: string; reason: string };
  "plugin.log": { plugin: string; stream: "stdout" | "stderr" | "log"; line: string };
  "health.changed": { platform: string; from: string; to: string; detail: string };
  "breaker.changed": { platform: string; from: string; to: string; reason: string };
  "scaling.decision": { decisionId: number; rule: string; reason: string; actions: string[] };
  "forecast.trained": {
    trigger: string;
    reason: string;
    adopted: boolean;
    points: number;
    errorBefore: number | null;
    errorAfter: number | null;
  };
  "forecast.anomaly": { kind: string; value: number; detail: string };
  "monitor.gap": { source: string; error: string };
}

export type EventName = keyof EventMap;

/** One announced event. */
export type ConductorEvent = {
  [Name in EventName]: { name: Name; atMs: number; data: EventMap[Name] };
}[EventName];
