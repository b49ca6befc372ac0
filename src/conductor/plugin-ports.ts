/** The plugin manager as the scaler, the health monitor and the router want it. */

import type { CheckAnswer, CheckFailureKind, Probe, ProbedPlugin } from "../health/probe.ts";
import type { FootprintTarget } from "../monitor/footprint.ts";
import type { PluginState } from "../plugins/lifecycle.ts";
import type { PluginManager } from "../plugins/manager.ts";
import type { PluginView } from "../plugins/plugin-view.ts";
import type { CallFailure, FailureKind } from "../plugins/transport.ts";
import type {
  DispatchAnswer,
  Dispatcher,
  DispatchFailureKind,
  PluginState as RoutedState,
} from "../routing/dispatcher.ts";
import type { LearnedFootprints } from "../scaler/footprints.ts";
import type { Actuator, Carried } from "../scaler/ports.ts";
import type { PluginFacts } from "../scaler/situation.ts";
import type { MemoryWatch } from "./memory-watch.ts";

const scalingStates: Partial<Record<PluginState, PluginFacts["state"]>> = {
  starting: "starting",
  ready: "running",
  degraded: "running",
  draining: "running",
  shed: "shed",
};

/** Sheds and restores through the manager. */
export function actuatorOf(manager: PluginManager, watch: MemoryWatch, learned: LearnedFootprints): Actuator {
  return {
    plugins: () =>
      manager
        .list()
        .filter(({ state }) => state !== "invalid")
        .map(({ name, state }): PluginFacts => {
          const facts = scalingStates[state] ?? "absent";
          const held = facts === "running" || facts === "starting";
          return {
            name,
            state: facts,
            footprintBytes: held ? (watch.footprintOf(name)?.bytes ?? null) : null,
            learnedBytes: learned.usualBytes(name),
          };
        }),
    footprintBytes: (plugin) => watch.measureFootprint(plugin),
    hasten: (plugin) => manager.hasten(plugin),
    shed: async (plugin, how): Promise<Carried> => {
      const stopped = await manager.shed(plugin, how);
      if (!stopped.ok) return { done: false, killed: false, detail: stopped.message };
      const { gone, killed, detail } = stopped.report;
      return { done: gone, killed, detail };
    },
    restore: async (plugin, reason): Promise<Carried> => {
      const started = await manager.restore(plugin, reason);
      return { done: started.ok, killed: false, detail: started.ok ? "it is ready" : started.message };
    },
  };
}

/** Names of the plugins that hold memory now. */
export function heldPluginsOf(manager: PluginManager): Set<string> {
  const running = manager
    .list()
    .filter(({ state }) => ["running", "starting"].includes(scalingStates[state] ?? ""));
  return new Set(running.map(({ name }) => name));
}

/** Where each running plugin's memory is measured. */
export const footprintTargetsOf = (manager: PluginManager): FootprintTarget[] =>
  manager.footprintTargets().map(({ cgroup, ...target }) => ({
    ...target,
    cgroup: cgroup && { version: cgroup.version, folder: cgroup.path },
  }));

const checkFailures: Record<FailureKind, CheckFailureKind> = {
  timeout: "timeout",
  "plugin-error": "error",
  crashed: "exited",
  stopped: "exited",
  overload: "error",
  "too-large": "bad-answer",
  protocol: "bad-answer",
  unavailable: "unreachable",
  cancelled: "unreachable",
};

/** Who should answer health checks, and how each is asked. */
export function probeOf(manager: PluginManager): Probe {
  return {
    plugins: () => manager.list().map(probed),
    check: async (name, limits): Promise<CheckAnswer> => {
      const answer = await manager.checkHealth(name, limits);
      if (answer.ok) return answer.value;
      return { status: "failure", kind: checkFailures[answer.kind], detail: answer.message };
    },
  };
}

function probed({ name, platform, state, reason }: PluginView): ProbedPlugin {
  const plugin = { name, platform: platform ?? name, reason };
  switch (state) {
    case "ready":
    case "degraded":
    case "failed":
    case "crash-loop":
    case "invalid":
      return { ...plugin, expected: true };
    case "starting":
      return { ...plugin, expected: false, standing: "starting" };
    case "shed":
      return { ...plugin, expected: false, standing: "shed" };
    case "disabled":
      return { ...plugin, expected: false, standing: "disabled" };
    case "discovered":
    case "draining":
    case "stopped":
      return { ...plugin, expected: false, standing: "stopped" };
  }
}

const routedStates: Record<PluginState, RoutedState> = {
  invalid: "failed",
  discovered: "stopped",
  starting: "starting",
  ready: "ready",
  degraded: "ready",
  draining: "stopped",
  stopped: "stopped",
  shed: "shed",
  disabled: "disabled",
  failed: "failed",
  "crash-loop": "failed",
};

const dispatchFailures: Record<FailureKind, DispatchFailureKind> = {
  timeout: "timeout",
  "plugin-error": "plugin-error",
  crashed: "crash",
  stopped: "stopped",
  overload: "overload",
  "too-large": "too-large",
  protocol: "bad-answer",
  unavailable: "unavailable",
  cancelled: "cancelled",
};

/** Requests to plugins by platform. Of several plugins of one platform the first that serves is taken. */
export function dispatcherOf(manager: PluginManager): Dispatcher {
  const serving = (platform: string): PluginView | undefined => {
    const views = manager.list().filter((view) => (view.platform ?? view.name) === platform);
    return views.find(({ state }) => state === "ready" || state === "degraded") ?? views[0];
  };
  const failureOf = (plugin: string, { kind, message }: CallFailure): DispatchAnswer => {
    const shed = kind === "stopped" && manager.view(plugin)?.state === "shed";
    return { ok: false, kind: shed ? "shed" : dispatchFailures[kind], message };
  };
  return {
    platforms: () => [...new Set(manager.list().map(({ platform, name }) => platform ?? name))],
    resolve: (platform) => {
      const view = serving(platform);
      if (!view) return null;
      const startsOnRequest = view.start === "lazy" && view.state === "discovered";
      return {
        plugin: view.name,
        state: startsOnRequest ? "ready" : routedStates[view.state],
        reason: view.reason,
        ...(view.limits.requestTimeoutMs === null ? {} : { requestTimeoutMs: view.limits.requestTimeoutMs }),
      };
    },
    dispatch: async (plugin, request, limits): Promise<DispatchAnswer> => {
      const answer = await manager.dispatch(plugin, request, limits);
      return answer.ok ? { ok: true, result: answer.value } : failureOf(plugin, answer);
    },
  };
}
