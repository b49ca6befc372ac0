/**
 * What the author of a plugin imports as "conductor/plugin".
 *
 *   import { definePlugin } from "conductor/plugin";
 *   export default definePlugin({
 *     handleRequest: async (request) => ({ echo: request.payload }),
 *   });
 *
 * An answer may come in parts, and reaches the client part by part:
 *
 *     async *handleRequest(request, { signal }) {
 *       for (const word of words) yield { word };
 *     }
 *
 * It can be told what happens around it:
 *
 *     events: ["health.changed", "scaling.*"],
 *     handleEvent: ({ name, data }) => console.log(name, data),
 */

/** A JSON value: what crosses the border between the conductor and a plugin. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** One request to a plugin. */
export interface PluginRequest {
  /** Unique for the request. */
  id: string;
  /** The platform it was addressed to; a fallback sees the platform that it stands in for. */
  platform: string;
  /** Free for the platform's use; "message" when the client gave none. */
  type: string;
  payload: Json;
  /** The client's name for this request, when it gave one: the same again is the same request, sent once more. */
  idempotencyKey?: string;
  /** Set when this plugin answers in place of another one. */
  fallback?: { unavailable: string; reason: string };
}

export interface RequestContext {
  /** Aborts when the caller went away or the deadline passed; the answer, or what is left of it, is then dropped. */
  signal: AbortSignal;
  /** Milliseconds left when the request reached the plugin; an answer in chunks has them for its first chunk. */
  deadlineMs: number;
}

export interface HealthReport {
  status: "healthy" | "degraded" | "unhealthy";
  /** One line for a person; for "unhealthy", what to do about it. */
  detail?: string;
}

/**
 * What `handleRequest` answers: one value, or an async iterable (such as an async generator) whose values are sent as they
 * come. Each message has at most 1 MiB. The next chunk is asked for only as the client takes them: at most 16, or 1 MiB,
 * are under way. When the client goes away the iterable's `return()` is called and `signal` aborts, so a generator's
 * `finally` runs. Throwing ends the stream with an error; what a generator returns is ignored.
 */
export type PluginAnswer = Json | AsyncIterable<Json>;

/** Something that happened. Delivery is no promise: an event is lost when the plugin does not read, restarts or is down. */
export interface PluginEvent {
  /** Such as "health.changed". */
  name: string;
  /** ISO 8601. */
  at: string;
  /** Depends on the name; what other plugins wrote is never in it. */
  data: { [key: string]: Json };
  /** Events lost since the last one, since this plugin did not keep up; absent: none. */
  dropped?: number;
}

export interface PluginContext {
  /** Name in the manifest. */
  name: string;
  /** The plugin's own folder, where its manifest lies; null for a plugin inside the executable. */
  folder: string | null;
  /** A folder the plugin may write to; null when the host has none. */
  dataFolder: string | null;
  /** A structured line in the conductor's log, under the plugin's name. */
  log(message: string, fields?: Record<string, Json>): void;
}

export interface PluginDefinition {
  /** Called once before anything else, with `plugins.config.NAME` of the configuration. Throwing fails the start. */
  initialize?(config: Record<string, Json>, context: PluginContext): void | Promise<void>;
  /** Called every few seconds; absent means healthy while it answers. */
  healthCheck?(): HealthReport | Promise<HealthReport>;
  /** Answers one request; throwing answers the caller with an error and leaves the plugin running. */
  handleRequest?(request: PluginRequest, context: RequestContext): PluginAnswer | Promise<PluginAnswer>;
  /**
   * What `handleEvent` is told of: names ("health.changed"), groups ("scaling.*") or all ("*"), at most 32. Read once,
   * after `initialize`. A plugin that does not run is not started for it; each process of a plugin is told.
   */
  events?: readonly string[];
  /**
   * Called for one event at a time, in order; the next one waits until it is done, and at most 1,000 wait. Throwing is
   * logged under the plugin's name and changes nothing.
   */
  handleEvent?(event: PluginEvent): void | Promise<void>;
  /** Called before the process is stopped; the conductor waits for it within the grace period. */
  shutdown?(): void | Promise<void>;
}

/** Declares a plugin: the default export of its entry. Returns the definition unchanged; its use is the types. */
export function definePlugin(definition: PluginDefinition): PluginDefinition {
  return definition;
}
