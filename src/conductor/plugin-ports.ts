/** The plugin manager as the scaler, the health monitor and the router want it. */

import type { CheckAnswer, CheckFailureKind, Probe, ProbedPlugin, Standing } from "../health/probe.ts";
import { mostLevels, nestedWithin } from "../http/nesting.ts";
import type { FootprintTarget } from "../monitor/footprint.ts";
import { isServing, type PluginState } from "../plugins/lifecycle.ts";
import type { PluginManager } from "../plugins/manager.ts";
import type { Standing as LiveStanding } from "../plugins/standing.ts";
import type { CallFailure, FailureKind, JsonStream, StreamTerms } from "../plugins/transport.ts";
import type { PluginBounds } from "../routing/bulkheads.ts";
import type {
  AnswerStream,
  DispatchAnswer,
  Dispatcher,
  DispatchFailure,
  DispatchFailureKind,
  PluginState as RoutedState,
} from "../routing/dispatcher.ts";
import type { LearnedFootprints } from "../scaler/footprints.ts";
import type { Actuator, Carried } from "../scaler/ports.ts";
import type { PluginFacts } from "../scaler/situation.ts";
import type { MemoryWatch } from "./memory-watch.ts";

/** What is not named here neither holds memory nor will by itself. */
const scalingStates: Partial<Record<PluginState, PluginFacts["state"]>> = {
  starting: "starting",
  ready: "running",
  degraded: "running",
  draining: "running",
  shed: "shed",
  blocked: "blocked",
};

/** A state of the life cycle as the scaler tells them apart. */
export const scalingStateOf = (state: PluginState): PluginFacts["state"] => scalingStates[state] ?? "absent";

/** Sheds and restores through the manager. */
export function actuatorOf(manager: PluginManager, watch: MemoryWatch, learned: LearnedFootprints): Actuator {
  return {
    plugins: () => {
      const facts: PluginFacts[] = [];
      for (const standing of manager.standings()) {
        const { name, state: is, requires, inFlight, priority, protect, expectedBytes } = standing;
        if (is === "invalid") continue;
        const state = scalingStateOf(is);
        const held = state === "running" || state === "starting";
        const footprintBytes = held ? (watch.footprintOf(name)?.bytes ?? null) : null;
        facts.push({
          name,
          state,
          footprintBytes,
          // Asked for where a plugin is to be shed or restored, which most readings of memory do not come to.
          get learnedBytes() {
            return learned.usualBytes(name);
          },
          requires,
          get startBytes() {
            return learned.startBytes(name);
          },
          get peakBytes() {
            return learned.peakBytes(name);
          },
          get growthPerSecond() {
            return held ? learned.growthPerSecond(name) : null;
          },
          ...(inFlight > 0 ? { inFlight } : {}),
          ...(priority === 0 ? {} : { priority }),
          ...(expectedBytes === null ? {} : { hintBytes: expectedBytes }),
          ...(protect ? { protect } : {}),
        });
      }
      return facts;
    },
    hasShed: () => manager.standings().some(({ state }) => scalingStateOf(state) === "shed"),
    footprintBytes: (plugin) => watch.measureFootprint(plugin),
    strike: manager.strike,
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

/** Names of the plugins, and parts of conductor, that hold memory now. */
export function heldPluginsOf(manager: PluginManager): Set<string> {
  const held = new Set<string>();
  for (const { name, state: is } of manager.standings()) {
    const state = scalingStateOf(is);
    if (state === "running" || state === "starting") held.add(name);
  }
  for (const { plugin } of manager.footprintTargets()) if (manager.isPart(plugin)) held.add(plugin);
  return held;
}

/** Where each running plugin's memory is measured: all its instances as one. */
export function footprintTargetsOf(manager: PluginManager): FootprintTarget[] {
  const byPlugin = Map.groupBy(manager.footprintTargets(), ({ plugin }) => plugin);
  return [...byPlugin].map(([plugin, instances]) => ({
    plugin,
    rootPids: instances.flatMap(({ rootPids }) => rootPids),
    cgroups: instances.flatMap(({ cgroup }) =>
      cgroup ? [{ version: cgroup.version, folder: cgroup.path }] : [],
    ),
    rootPidsOutside: instances.flatMap(({ cgroup, rootPids }) => (cgroup ? [] : rootPids)),
  }));
}

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
  // They read their state when asked: nothing is made a call, but when a plugin came or went.
  let listed = manager.standings();
  let plugins = listed.map((standing) => new LivePlugin(standing));
  return {
    plugins: () => {
      if (listed !== manager.standings()) {
        listed = manager.standings();
        plugins = listed.map((standing) => new LivePlugin(standing));
      }
      return plugins;
    },
    check: async (name, limits): Promise<CheckAnswer> => {
      const answer = await manager.checkHealth(name, limits);
      if (answer.ok) return answer.value;
      const standing = manager.standing(name);
      // It has no process that could be asked, as between a crash and the restart: that is no failed check.
      const gone = standing !== null && !isServing(standing.state);
      const kind = gone ? "exited" : checkFailures[answer.kind];
      return { status: "failure", kind, detail: answer.message };
    },
  };
}

/**
 * How long the breaker of a platform stays open: the longest of what the plugins that serve it ask for, where one that
 * asks for nothing counts with `defaultMs`.
 */
export const breakerResetOf =
  (manager: Pick<PluginManager, "standings">, defaultMs: number) =>
  (platform: string): number => {
    const asked = manager
      .standings()
      .flatMap((each) => (each.platform === platform ? [each.breakerResetMs ?? defaultMs] : []));
    return asked.length === 0 ? defaultMs : Math.max(...asked);
  };

/** Null: it should be running and answering. */
const standingOf: Record<PluginState, Standing | null> = {
  ready: null,
  degraded: null,
  failed: null,
  "crash-loop": null,
  invalid: null,
  starting: "starting",
  shed: "shed",
  disabled: "disabled",
  blocked: "stopped",
  discovered: "stopped",
  draining: "stopped",
  stopped: "stopped",
};

class LivePlugin implements ProbedPlugin {
  readonly name: string;
  readonly #live: LiveStanding;

  constructor(live: LiveStanding) {
    this.name = live.name;
    this.#live = live;
  }

  get platform(): string {
    return this.#live.platform;
  }

  get expected(): boolean {
    return standingOf[this.#live.state] === null;
  }

  get standing(): Standing {
    return standingOf[this.#live.state] ?? "stopped";
  }

  get reason(): string {
    return this.#live.reason;
  }
}

const routedStates: Record<PluginState, RoutedState> = {
  invalid: "failed",
  // It waits for memory or for a plugin that it requires; a lazy one starts with the request.
  discovered: "starting",
  starting: "starting",
  ready: "ready",
  degraded: "ready",
  draining: "stopped",
  stopped: "stopped",
  shed: "shed",
  disabled: "disabled",
  blocked: "blocked",
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

/** How many requests each plugin takes at once, and how many may wait. */
export const boundsOf =
  (manager: Pick<PluginManager, "standing">) =>
  (plugin: string): PluginBounds | null => {
    const standing = manager.standing(plugin);
    if (!standing) return null;
    const { platform, mostConcurrent, mostQueued } = standing;
    return { platform, most: mostConcurrent, queue: mostQueued };
  };

const tooDeep = `has more than ${mostLevels} levels of lists and objects`;

/** A plugin may be silent between two chunks for as long as before the first. */
const streamTerms = (timeoutMs: number): StreamTerms => ({
  idleMs: timeoutMs,
  refuse: (chunk) => (nestedWithin(chunk, mostLevels) ? null : tooDeep),
});

/**
 * Requests to plugins by platform. Of several plugins of one platform the most ready is taken. One that has to be started
 * first has `startTimeoutMs` for that beside its time for the request.
 */
export function dispatcherOf(manager: PluginManager, startTimeoutMs: number): Dispatcher {
  const failureOf = (plugin: string, { kind, message }: CallFailure): DispatchFailure => {
    const shed = kind === "stopped" && manager.standing(plugin)?.state === "shed";
    return { ok: false, kind: shed ? "shed" : dispatchFailures[kind], message };
  };
  const routed = (plugin: string, stream: JsonStream): AnswerStream => ({
    [Symbol.asyncIterator]: () => stream[Symbol.asyncIterator](),
    done: stream.done.then((failure) => failure && failureOf(plugin, failure)),
    cancel: () => stream.cancel(),
  });
  return {
    platforms: () => manager.platforms(),
    resolve: (platform) => {
      const plugin = manager.serving(platform);
      if (!plugin) return null;
      const { name, reason, requestTimeoutMs } = plugin;
      const startMs = isServing(plugin.state) ? 0 : startTimeoutMs;
      return {
        plugin: name,
        state: plugin.startsOnRequest ? "ready" : routedStates[plugin.state],
        reason,
        ...(requestTimeoutMs === null ? {} : { requestTimeoutMs: requestTimeoutMs + startMs }),
      };
    },
    dispatch: async (plugin, request, limits): Promise<DispatchAnswer> => {
      const stream = streamTerms(limits.timeoutMs);
      const answer = await manager.dispatch(plugin, request, { ...limits, stream });
      if (!answer.ok) return failureOf(plugin, answer);
      if (answer.stream) return { ok: true, result: null, stream: routed(plugin, answer.stream) };
      const { value } = answer;
      if (nestedWithin(value, mostLevels)) return { ok: true, result: value };
      return { ok: false, kind: "bad-answer", message: `the answer of ${plugin} ${tooDeep}` };
    },
  };
}
