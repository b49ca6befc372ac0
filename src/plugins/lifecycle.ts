/**
 * The life of a plugin.
 *
 *   invalid                                    a manifest or requirement that can never work: the end
 *
 *   discovered ───start──▶ starting ──ready──▶ ready ◀──health──▶ degraded
 *        ▲ waits for           │  │              │  └───────┬────────┘
 *        │ memory or           │  │ fails     ended by      │ stop, shed, disable
 *        │ a requirement       │  ▼            itself       ▼
 *        │                     │ failed ◀────────┘       draining ──gone──▶ stopped | shed | disabled
 *        │                     │  │  ▲ backoff                                  │        │         │
 *        │                     │  │  └──▶ starting                           start    restore   enable
 *        │                     │  └─too often─▶ crash-loop ──start──▶           └────────┴─────────┴──▶ starting
 *        │                     └──stop──▶ draining
 *
 * A plugin that ends with code 0 under `restart: on-failure` is stopped. Whatever does not run can be stopped, shed or
 * disabled directly.
 */

export type PluginState =
  | "invalid"
  | "discovered"
  | "starting"
  | "ready"
  | "degraded"
  | "draining"
  | "stopped"
  | "shed"
  | "disabled"
  | "failed"
  | "crash-loop";

const idle: readonly PluginState[] = ["stopped", "shed", "disabled"];

const moves: Record<PluginState, readonly PluginState[]> = {
  invalid: [],
  discovered: ["starting", ...idle],
  starting: ["ready", "failed", "crash-loop", "draining", ...idle],
  ready: ["degraded", "draining", "failed", "crash-loop", "stopped"],
  degraded: ["ready", "draining", "failed", "crash-loop", "stopped"],
  draining: ["failed", ...idle],
  stopped: ["starting", ...idle],
  shed: ["starting", ...idle],
  disabled: ["starting", ...idle],
  failed: ["starting", "crash-loop", ...idle],
  "crash-loop": ["starting", ...idle],
};

/** Every state. */
export const pluginStates = Object.keys(moves) as PluginState[];

/** True when the picture above has this arrow. */
export const mayMove = (from: PluginState, to: PluginState): boolean => moves[from].includes(to);

/** It answers requests. */
export const isServing = (state: PluginState): boolean => state === "ready" || state === "degraded";
