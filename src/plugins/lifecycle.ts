/**
 * The life of a plugin.
 *
 *   invalid                                    a manifest or requirement that can never work: the end
 *
 *   discovered ───start──▶ starting ──ready──▶ ready ◀──health──▶ degraded
 *     │  ▲ waits for         │  │                │  └───────┬────────┘
 *     │  │ memory            │  │ fails     ended by        │ stop, shed, disable, idle,
 *     │                      │  ▼            itself         ▼ what it requires went down
 *     │ what it requires     │ failed ◀────────┘         draining ──gone──▶ stopped | shed | disabled | blocked
 *     │ does not run         │  │  ▲ backoff                                  │        │         │         │
 *     ▼                      │  │  └──▶ starting                           start    restore   enable   it runs again
 *   blocked ──it runs────────┤  └─too often─▶ crash-loop ──start──▶           └────────┴─────────┴─────────┴──▶ starting
 *              again         └──stop──▶ draining
 *
 * A plugin that ends with code 0 under `restart: on-failure` is stopped. Whatever does not run can be stopped, shed,
 * disabled or blocked directly. A new version that takes over from a running one changes no state, unless the old one
 * has to be stopped first.
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
  | "blocked"
  | "failed"
  | "crash-loop";

const idle: readonly PluginState[] = ["stopped", "shed", "disabled", "blocked"];

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
  blocked: ["starting", ...idle],
  failed: ["starting", "crash-loop", ...idle],
  "crash-loop": ["starting", ...idle],
};

/** Every state. */
export const pluginStates = Object.keys(moves) as PluginState[];

/** True when the picture above has this arrow. */
export const mayMove = (from: PluginState, to: PluginState): boolean => moves[from].includes(to);

/** It answers requests. */
export const isServing = (state: PluginState): boolean => state === "ready" || state === "degraded";
